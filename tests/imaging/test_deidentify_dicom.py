"""Nothing planted survives; references still resolve; pixels do not change; the objects stay as valid as they were."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from imaging.make_dicom import SECONDARY_CAPTURE, make_series, make_tags, write
from overread.core.errors import OverreadError, Refused
from overread.imaging.deidentify.dicom_file import deidentify_dicom
from overread.imaging.deidentify.profile import OPTION_CODES, Profile
from overread.imaging.deidentify.regions import Rule
from overread.imaging.deidentify.secret import Secret
from overread.imaging.deidentify.settings import Done, Settings
from overread.imaging.deidentify.table import attribute_type, chosen, row_of, table

SECRET = Secret(b"k" * 32)
NAME, CODE, DAY, ROOT = "Zyxwarren", "QZ77431X", "19631117", "1.9.8.7"
PLANTED = {
    "PN": f"{NAME}^Vladlena",
    "DA": DAY,
    "DT": f"{DAY}101112",
    "TM": "101112.131415",
    "AS": "097Y",
    "DS": "77431.5",
    "IS": "77431977",
    "CS": CODE,
    "AE": CODE,
    "SH": CODE,
    "UR": f"http://x/{NAME}",
}
TEXT = f"seen by {NAME} on {DAY}, no {CODE}"
PATIENT_AND_DATES = ("patient", "dates_modified", "descriptors", "structured", "graphics", "safe_private")
STRINGS = [NAME.encode(), b"Vladlena", CODE.encode(), DAY.encode(), ROOT.encode() + b".", b"77431"]


def settings(*options: str, rules: Sequence[Rule] = ()) -> Settings:
    return Settings(Profile(frozenset(options)), SECRET, tuple(rules))


def run(path: Path, out: Path, *options: str, rules: Sequence[Rule] = ()) -> tuple[Done, FileDataset]:
    done = deidentify_dicom(path, path.name, out, settings(*options, rules=rules))
    return done, pydicom.dcmread(out / done.written)


def planted_element(tag: int, number: int) -> DataElement | None:
    try:
        vr = str(dictionary_VR(tag))
    except KeyError:
        return DataElement(tag, "LO", TEXT)
    if vr == "SQ":
        item = Dataset()
        item.PatientName, item.TextValue, item.PatientID = PLANTED["PN"], TEXT, CODE
        item.ReferencedSOPInstanceUID = f"{ROOT}.5.{number}"
        return DataElement(tag, "SQ", [item])
    if vr == "UI":
        return DataElement(tag, "UI", f"{ROOT}.{number}")
    if vr in ("US", "SS", "UL", "SL", "FL", "FD", "AT"):
        return None
    if vr.startswith("O") or vr == "UN":
        return DataElement(tag, vr.partition(" ")[0], (TEXT + " ").encode()[: len(TEXT) // 2 * 2])
    return DataElement(tag, vr, PLANTED.get(vr, TEXT))


def plant_everywhere(tags: Dataset, skip: Sequence[int] = ()) -> int:
    """Every attribute of the table with something that identifies."""
    planted = 0
    for number, tag in enumerate(sorted(table())):
        if tag >> 16 < 8 or tag in skip:
            continue
        element = planted_element(tag, number)
        if element is not None:
            tags[tag] = element
            planted += 1
    return planted


def planted_file(path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    tags = make_tags(np.arange(64, dtype=np.int16).reshape(8, 8), InstitutionName=CODE)
    keep = [tags.SOPInstanceUID]
    assert plant_everywhere(tags, skip=[0x00420011]) > 600  # an encapsulated document is refused, see below
    nested = Dataset()
    plant_everywhere(nested)
    deeper = Dataset()
    deeper.ReferencedSeriesSequence = [nested]
    tags.ReferencedSeriesSequence = [deeper]  # kept by the profile, so that what lies in it must be handled one by one
    for target in (tags, nested):
        block = target.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        block.add_new(0x10, "OB", TEXT.encode() + b" ")
        inside = Dataset()
        inside.PatientName = PLANTED["PN"]
        block.add_new(0x11, "SQ", [inside])
    tags.add_new(0x60000010, "US", 8)
    tags.add_new(0x60003000, "OB", TEXT.encode())
    tags.add_new(0x60004000, "LT", TEXT)
    tags.add_new(0x60020022, "LO", TEXT)
    tags.add_new(0x50003000, "OB", TEXT.encode())
    tags.add_new(0x50200030, "SH", CODE)
    tags.add_new(0x00097777, "UN", TEXT.encode())
    tags.SequenceName = f"*tfl {NAME}"  # not named by the table: found by the name
    tags.SOPInstanceUID = keep[0]
    tags.preamble = (TEXT * 9).encode()[:128]
    tags.file_meta.TransferSyntaxUID = syntax
    tags.file_meta.SourceApplicationEntityTitle = CODE
    tags.file_meta.add_new(0x00020100, "UI", f"{ROOT}.99")
    tags.file_meta.add_new(0x00020102, "OB", TEXT.encode())
    return write(tags, path)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("options", [(), PATIENT_AND_DATES, ("dates_modified",), ("structured",), ("graphics", "descriptors")])
def test_nothing_planted_survives(tmp_path: Path, syntax: str, options: tuple[str, ...]) -> None:
    path = planted_file(tmp_path / "in.dcm", syntax)
    before = path.read_bytes()
    assert all(string in before for string in STRINGS)
    done, tags = run(path, tmp_path / "out", *options)
    content = re.sub(rb"2[.]25[.][0-9]+", b"", (tmp_path / "out" / done.written).read_bytes())  # random digits may hold any
    wanted_away = [string for string in STRINGS if "patient" not in options or string != b"77431"]  # a weight may stay
    assert [string for string in wanted_away if string in content] == []
    assert content[:128] == bytes(128)
    assert tags.PatientIdentityRemoved == "YES"
    assert tags.pixel_array.tolist() == np.arange(64).reshape(8, 8).tolist()
    assert not any(string.decode() in str(done.log) for string in STRINGS)


def test_every_option_and_the_codes_that_say_so(tmp_path: Path) -> None:
    path = planted_file(tmp_path / "in.dcm")
    options = set(OPTION_CODES) - {"dates_full"}
    _, tags = run(path, tmp_path / "out", *options)
    values = [code.CodeValue for code in tags.DeidentificationMethodCodeSequence]
    assert values == ["113100", *(OPTION_CODES[name][0] for name in OPTION_CODES if name in options)]
    assert tags.LongitudinalTemporalInformationModified == "MODIFIED"
    assert NAME not in str(tags)
    with pytest.raises(OverreadError, match="cannot both"):
        Profile(frozenset({"dates_full", "dates_modified"}))


def test_table_is_whole_and_types_decide_combinations() -> None:
    assert len(table()) == 652
    assert row_of(0x50123456) == row_of(0x50003000) != row_of(0x60003000)
    ct, enhanced = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
    assert attribute_type(0x00181000, ct, None) == 3  # Device Serial Number
    assert attribute_type(0x00181000, enhanced, None) == 1
    assert chosen("X/Z/D", 0x00181000, ct, None) == "X"
    assert chosen("X/Z/D", 0x00181000, enhanced, None) == "D"
    assert chosen("Z/D", 0x00080023, ct, None) == "Z"  # Content Date
    assert attribute_type(0x00080080, ct, 0x0040A078) == 2  # Institution Name of an author
    every_moment = [tag for tag in table() if tag not in (0x00100030, 0x00100032) and _vr(tag) in ("DA", "DT")]
    without = [row_of(tag).name for tag in every_moment if "dates_modified" not in row_of(tag).options]  # type: ignore[union-attr]
    assert len(without) < 12, without


def _vr(tag: int) -> str:
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return ""


def test_uids_and_dates_agree_over_a_study_and_over_runs(tmp_path: Path) -> None:
    first = make_series(
        tmp_path / "a", [0.0, 5.0], StudyDate="20200228", ContentDate="20200301", AcquisitionDateTime="20200228101010.5+0100"
    )
    later = make_series(tmp_path / "b", [0.0], StudyInstanceUID="1.2.9", SeriesInstanceUID="1.2.9.1", StudyDate="20210228")
    results = [run(path, tmp_path / "out", "dates_modified")[1] for path in [*first, *later]]
    assert results[0].StudyInstanceUID == results[1].StudyInstanceUID != results[2].StudyInstanceUID
    assert results[0].FrameOfReferenceUID == results[2].FrameOfReferenceUID
    assert {tags.PatientID for tags in results} == {SECRET.code("patient", "MRN-0001")}
    days = [pydicom.valuerep.DA(tags.StudyDate) for tags in results]
    assert (days[2] - days[0]).days == 366
    assert (pydicom.valuerep.DA(results[0].ContentDate) - days[0]).days == 2
    assert results[0].AcquisitionDateTime == results[0].StudyDate + "101010.5"
    again, _ = run(first[0], tmp_path / "again", "dates_modified")
    assert again.written == run(first[0], tmp_path / "third", "dates_modified")[0].written
    with pytest.raises(Refused, match="was there before"):
        run(first[0], tmp_path / "again", "dates_modified")


def test_ages_above_89_and_characteristics(tmp_path: Path) -> None:
    path = write(make_tags(np.zeros((8, 8), np.int16), PatientAge="097Y", PatientWeight=71), tmp_path / "a.dcm")
    assert "PatientAge" not in run(path, tmp_path / "o1")[1]
    kept = run(path, tmp_path / "o2", "patient")[1]
    assert (kept.PatientAge, kept.PatientWeight, kept.PatientSex) == ("090Y", 71, "F")


def test_descriptions_keep_only_harmless_words(tmp_path: Path) -> None:
    path = write(
        make_tags(np.zeros((8, 8), np.int16), SeriesDescription="Thorax venous 5mm Dr. Miller 12.03.1965"), tmp_path / "a.dcm"
    )
    assert run(path, tmp_path / "out", "descriptors")[1].SeriesDescription == "Thorax venous 5mm"
    assert "SeriesDescription" not in run(path, tmp_path / "o2")[1]


def test_safe_private_numbers_stay_on_request(tmp_path: Path) -> None:
    tags = make_tags(np.zeros((8, 8), np.int16))
    block = tags.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x08, "CS", "IMAGE NUM 4")
    path = write(tags, tmp_path / "a.dcm")
    _, kept = run(path, tmp_path / "o1", "safe_private")
    assert [e.value for e in kept if e.tag.is_private] == ["SIEMENS MR HEADER", 1000]
    assert not any(e.tag.is_private for e in run(path, tmp_path / "o2")[1])


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless])
def test_compressed_pixels_stay_byte_for_byte_unless_masked(tmp_path: Path, syntax: str) -> None:
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    tags = make_tags(pixels)
    tags.compress(syntax, generate_instance_uid=False)
    path = write(tags, tmp_path / "a.dcm")
    _, kept = run(path, tmp_path / "o1")
    assert kept.PixelData == tags.PixelData
    assert kept.file_meta.TransferSyntaxUID == syntax
    rule = Rule((("modality", "CT"),), ((0, 0, 10, 20),))
    done, masked = run(path, tmp_path / "o2", rules=[rule])
    assert masked.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    expected = pixels.copy()
    expected[:10, :20] = 0
    assert np.array_equal(masked.pixel_array, expected)
    assert done.rules == (0,)
    assert masked.DeidentificationMethodCodeSequence[-1].CodeValue == "113101"


def test_masks_of_colour_and_of_regions_outside(tmp_path: Path) -> None:
    pixels = np.full((16, 16, 3), 200, np.uint8)
    path = write(make_tags(pixels, SECONDARY_CAPTURE, Modality="US"), tmp_path / "a.dcm")
    done, masked = run(path, tmp_path / "o1", rules=[Rule((("series", "1.2.3.4"),), ((0, 0, 4, 16),))])
    assert masked.pixel_array[:4].max() == 0
    assert masked.pixel_array[4:].min() == 200
    assert done.look is not None
    assert "secondary capture" in done.look.reasons
    with pytest.raises(Refused, match=r"leaves a\.dcm") as refused:
        run(path, tmp_path / "o2", rules=[Rule((("modality", "US"),), ((0, 0, 99, 16),))])
    assert refused.value.code == "region-outside"


def test_overlay_in_unused_bits_of_the_pixels_goes(tmp_path: Path) -> None:
    pixels = np.arange(64, dtype=np.uint16).reshape(8, 8)
    drawn = pixels | 0x8000
    tags = make_tags(drawn, BitsStored=12, HighBit=11)
    tags.add_new(0x60000100, "US", 16)
    tags.add_new(0x60000102, "US", 15)
    done, cleared = run(write(tags, tmp_path / "a.dcm"), tmp_path / "out")
    assert np.array_equal(np.frombuffer(cleared.PixelData, "<u2").reshape(8, 8), pixels)
    assert done.log["(60xx,3000)", "cleared in the pixels"] == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1", "EncapsulatedDocument": b"%PDF"}, "document"),
        ({"SOPClassUID": "1.3.12.2.1107.5.9.1"}, "private-object"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66"}, "private-object"),
    ],
)
def test_what_cannot_be_judged_is_refused(tmp_path: Path, change: dict[str, object], code: str) -> None:
    path = write(make_tags(np.zeros((8, 8), np.int16), **change), tmp_path / "a.dcm")
    with pytest.raises(Refused) as refused:
        run(path, tmp_path / "out")
    assert refused.value.code == code
    assert not list((tmp_path).rglob("out/**/*.dcm"))


def files_of(shared_data: Path) -> list[Path]:
    left_out = {".md", ".txt", ".csv", ".json", ".png"}
    return [p for p in sorted((shared_data / "dicom").rglob("*")) if p.is_file() and p.suffix not in left_out]


def test_real_files_stay_as_valid_as_they_were(tmp_path: Path, shared_data: Path) -> None:
    """dciodvfy, an independent validator: no more errors than in the source."""
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    worse = []
    for number, path in enumerate(files_of(shared_data)):
        if number % 12:  # some files of every kind keep the test short
            continue
        try:
            done, _ = run(path, tmp_path / str(number), "dates_modified", "structured", "descriptors")
        except Refused:
            continue
        before, after = errors(path), errors(tmp_path / str(number) / done.written)
        if len(after) > len(before):
            worse.append((path.name, sorted(set(after) - set(before))))
    assert worse == []


def errors(path: Path) -> list[str]:
    result = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", timeout=60, check=False)
    return [line for line in result.stderr.splitlines() if line.startswith("Error")]


def test_references_between_objects_still_resolve(tmp_path: Path, shared_data: Path) -> None:
    written, sources = {}, {}
    for path in files_of(shared_data):
        if path.stat().st_size > 300_000:  # to keep the test short
            continue
        try:
            done, tags = run(path, tmp_path, "structured")
        except Refused:
            continue
        assert done.identity is not None
        sources[done.identity.instance] = pydicom.dcmread(path, force=True)
        written[done.identity.instance] = tags
    new_ids = {tags.SOPInstanceUID for tags in written.values()}
    checked = 0
    for instance, source in sources.items():
        old = [uid for uid in references(source) if uid in sources]
        new = [uid for uid in references(written[instance]) if uid in new_ids]
        assert len(new) == len(old), source.SOPClassUID.name
        checked += len(old)
        if "PixelData" in source and written[instance].file_meta.TransferSyntaxUID == source.file_meta.get("TransferSyntaxUID"):
            assert written[instance].PixelData.rstrip(b"\0") == source.PixelData.rstrip(b"\0")  # an odd length is padded
    assert checked > 0


def references(tags: Dataset) -> list[str]:
    return [str(e.value) for e in tags.iterall() if e.tag == 0x00081155]
