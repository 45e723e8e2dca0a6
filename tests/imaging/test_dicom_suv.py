"""PET: SUV by body weight in every way the QIBA pseudo-code knows, and a named refusal for everything missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from imaging.make_dicom import make_tags, write
from overread.core.errors import Refused
from overread.core.image import Image
from overread.imaging.dicom.volume import open_dicom

PET = "1.2.840.10008.5.1.4.1.1.128"
HALF_LIFE, DOSE, WEIGHT = 6586.2, 370e6, 74.0
STORED = np.full((2, 2), 1000, np.int16)
SLOPES = (2.5, 3.0)


def make_pet(
    folder: Path, tracer: dict[str, Any] | None = None, private: dict[int, str] | None = None, **changes: Any
) -> list[Path]:
    """Two slices of a FDG scan one hour after the injection, each with a slope of its own; None removes an element."""
    given = {"RadionuclideTotalDose": DOSE, "RadionuclideHalfLife": HALF_LIFE, "RadiopharmaceuticalStartTime": "090000"}
    item = pydicom.Dataset()
    for keyword, value in (given | (tracer or {})).items():
        if value is not None:
            setattr(item, keyword, value)
    series: dict[str, Any] = {
        "Modality": "PT",
        "Units": "BQML",
        "DecayCorrection": "START",
        "CorrectedImage": ["DECY", "ATTN", "SCAT"],
        "PatientWeight": WEIGHT,
        "SeriesDate": "20200102",
        "SeriesTime": "100000",
        "AcquisitionDate": "20200102",
        "AcquisitionTime": "100000.00",
        "RescaleIntercept": 0,
        "PixelSpacing": [4.0, 4.0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "RadiopharmaceuticalInformationSequence": [item],
    }
    files = []
    for k, slope in enumerate(SLOPES):
        own = {"ImagePositionPatient": [0, 0, 4 * k], "RescaleSlope": slope}
        tags = make_tags(STORED, PET, **(series | own | changes))
        if private:
            block = tags.private_block(0x7053, "Philips PET Private Group", create=True)
            for element, value in private.items():
                block.add_new(element, "DS", value)
        files.append(write(tags, folder / f"{k}.dcm"))
    return files


def suv_after(seconds: float) -> list[float]:
    """By hand: activity over what is left of the dose per gram."""
    left = DOSE * 2 ** (-seconds / HALF_LIFE)
    return [1000 * slope * WEIGHT * 1000 / left for slope in SLOPES]


def check(image: Image, expected: list[float]) -> None:
    assert image.units == "SUV"
    np.testing.assert_allclose(image.array[0, :, 0, 0], expected, rtol=1e-6)


def test_activity_decays_from_injection_to_the_start_of_the_series(tmp_path: Path) -> None:
    image = open_dicom(make_pet(tmp_path))
    check(image, suv_after(3600))
    assert image.source["notes"] == ["decay corrected over 60.0 minutes from injection to scan"]


def test_decay_corrected_to_the_injection_needs_no_times(tmp_path: Path) -> None:
    files = make_pet(tmp_path, {"RadiopharmaceuticalStartTime": None}, DecayCorrection="ADMIN", SeriesTime=None)
    check(open_dicom(files), suv_after(0))


def test_an_injection_before_midnight(tmp_path: Path) -> None:
    after = {"SeriesTime": "003000", "AcquisitionTime": "003000"}
    check(open_dicom(make_pet(tmp_path / "a", {"RadiopharmaceuticalStartTime": "233000"}, **after)), suv_after(3600))
    dated = {"RadiopharmaceuticalStartTime": None, "RadiopharmaceuticalStartDateTime": "20200101233000.00"}
    check(open_dicom(make_pet(tmp_path / "b", dated, **after)), suv_after(3600))


def test_a_shifted_date_of_injection_gives_way_to_its_time_of_day_and_is_told(tmp_path: Path) -> None:
    image = open_dicom(make_pet(tmp_path, {"RadiopharmaceuticalStartDateTime": "19590101090000"}))
    check(image, suv_after(3600))
    assert "its time of day was used" in " ".join(image.source["notes"])


def test_a_series_saved_later_takes_the_time_from_the_acquisition(tmp_path: Path) -> None:
    late = {"SeriesTime": "150000"}
    check(open_dicom(make_pet(tmp_path / "a", **late)), suv_after(3600))
    # the frame's average count rate falls 300 s + the time to it after the start of the scan
    decay = np.log(2) / HALF_LIFE
    average = np.log(decay * 180 / (1 - np.exp(-decay * 180))) / decay
    frame = {"FrameReferenceTime": 300_000.0, "ActualFrameDuration": 180_000}
    check(open_dicom(make_pet(tmp_path / "b", **late, **frame)), suv_after(3600 + average - 300))


def test_philips_counts(tmp_path: Path) -> None:
    files = make_pet(tmp_path / "a", {"RadionuclideTotalDose": None}, {0x00: "0.0005"}, Units="CNTS", PatientWeight=None)
    check(open_dicom(files), [1000 * slope * 0.0005 for slope in SLOPES])
    files = make_pet(tmp_path / "b", None, {0x00: "0", 0x09: "2.0"}, Units="CNTS")
    check(open_dicom(files), [2 * value for value in suv_after(3600)])


def test_values_that_are_suv_already(tmp_path: Path) -> None:
    check(open_dicom(make_pet(tmp_path / "a", Units="GML", PatientWeight=None)), [2500.0, 3000.0])
    with pytest.raises(Refused, match="SUV Type LBM") as refusal:
        open_dicom(make_pet(tmp_path / "b", Units="GML", SUVType="LBM"))
    assert refusal.value.code == "no-suv"


def test_a_coded_nuclide_gives_the_half_life(tmp_path: Path) -> None:
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-111A1", "SRT", "^18^Fluorine"
    image = open_dicom(make_pet(tmp_path, {"RadionuclideHalfLife": None, "RadionuclideCodeSequence": [code]}))
    check(image, suv_after(3600))
    with pytest.raises(Refused, match=r"half-life is 1223 s, but its nuclide has one of 6586\.2 s"):
        open_dicom(make_pet(tmp_path / "b", {"RadionuclideHalfLife": 1223, "RadionuclideCodeSequence": [code]}))


@pytest.mark.parametrize(
    ("tracer", "changes", "says"),
    [
        ({}, {"PatientWeight": None}, r"weight \(0010,1030\) is missing"),
        ({}, {"PatientWeight": 0}, "weight .* is 0 kg, which cannot be"),
        ({}, {"PatientWeight": 74000}, "is 74000 kg"),
        ({"RadionuclideTotalDose": None}, {}, r"dose \(0018,1074\) is missing"),
        ({"RadionuclideTotalDose": 370}, {}, "is 370 Bq, which cannot be"),
        ({"RadionuclideHalfLife": None}, {}, "half-life .* is missing"),
        ({"RadiopharmaceuticalStartTime": None}, {}, "time of injection .* is missing"),
        ({"RadiopharmaceuticalStartTime": "120000"}, {}, "22.0 hours lie between injection and scan"),
        ({"RadionuclideHalfLife": 360806.4}, {}, "the day of the injection .* is missing"),
        ({}, {"Units": None}, r"its units \(0054,1001\) are missing"),
        ({}, {"Units": "PROPCPS"}, "are 'PROPCPS'; expected BQML"),
        ({}, {"Units": "CNTS"}, "counts .* without the maker's factor"),
        ({}, {"CorrectedImage": ["DECY"]}, "not corrected for attenuation"),
        ({}, {"CorrectedImage": ["ATTN"]}, "not corrected for decay"),
        ({}, {"DecayCorrection": "NONE"}, "is 'NONE'; expected START or ADMIN"),
        ({}, {"DecayCorrection": None}, "does not say to what time decay was corrected"),
        ({}, {"AcquisitionTime": None}, "time of acquisition .* is missing"),
        ({}, {"RadiopharmaceuticalInformationSequence": None}, "does not say what was injected"),
    ],
)
def test_what_is_missing_or_cannot_be_is_named(
    tmp_path: Path, tracer: dict[str, Any], changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(Refused, match=f"is PET, and SUV by body weight cannot be computed: .*{says}") as refusal:
        open_dicom(make_pet(tmp_path, tracer, **changes))
    assert refusal.value.code == "no-suv"
    assert refusal.value.next


def test_slices_that_disagree_are_refused(tmp_path: Path) -> None:
    files = make_pet(tmp_path / "a")
    other = make_pet(tmp_path / "b", PatientWeight=80.0)
    with pytest.raises(Refused, match="slices disagree on weight"):
        open_dicom([files[0], other[1]])
