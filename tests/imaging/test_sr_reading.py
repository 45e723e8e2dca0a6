"""Measurement reports in: numbers, regions and segments of reports that highdicom wrote, and of real ones."""

from __future__ import annotations

import warnings
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.sr.coding import CodedConcept
from pydicom.sr.codedict import codes

from imaging.make_dicom import make_series
from overread.core.errors import Refused
from overread.imaging.dicom.header import read_header
from overread.imaging.dicom.sr_reading import place_region, read_sr
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.outlines import fill

NODULE = CodedConcept("27925004", "SCT", "Nodule")
CYST = CodedConcept("103552005", "SCT", "Cyst")
DEPTHS = [0.0, 2.5, 5.0, 7.5]
SQUARE = np.array([(1.0, 1.0), (4.0, 1.0), (4.0, 5.0), (1.0, 5.0), (1.0, 1.0)])  # pixel edges: columns 1-3, rows 1-4


def group(source: pydicom.Dataset, finding: CodedConcept, graphic: str, points: np.ndarray, diameter: float) -> object:
    image = hd.sr.SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID)
    return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=hd.UID(), identifier=f"{finding.meaning} 1"),
        referenced_region=hd.sr.ImageRegion(hd.sr.GraphicTypeValues[graphic], points, source_image=image),
        finding_type=finding,
        measurements=[
            hd.sr.Measurement(name=codes.SCT.Diameter, value=diameter, unit=codes.UCUM.Millimeter),
            hd.sr.Measurement(
                name=CodedConcept("112031", "DCM", "Attenuation Coefficient"),
                value=-30.5,
                unit=CodedConcept("[hnsf'U]", "UCUM", "Hounsfield unit"),
                derivation=codes.SCT.Mean,
            ),
        ],
    )


def write_report(path: Path, files: list[Path], groups: list[object]) -> Path:
    sources = [pydicom.dcmread(f) for f in files]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        observer = hd.sr.ObserverContext(codes.DCM.Person, hd.sr.PersonObserverIdentifyingAttributes(name="Reader^A"))
        content = hd.sr.MeasurementReport(
            observation_context=hd.sr.ObservationContext(observer_person_context=observer),
            procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
            imaging_measurements=groups,
        )
        report = hd.sr.Comprehensive3DSR(
            evidence=sources,
            content=content[0],
            series_number=1,
            series_instance_uid=hd.UID(),
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="Maker",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    report.save_as(path)
    return path


@pytest.mark.filterwarnings("ignore")
def test_numbers_and_regions_come_back_where_they_were_drawn(tmp_path: Path) -> None:
    files = make_series(tmp_path / "ct", DEPTHS)
    sources = {float(d.ImagePositionPatient[2]): d for d in map(pydicom.dcmread, files)}
    third = sources[sorted(sources)[2]]
    groups = [
        group(third, NODULE, "POLYLINE", SQUARE, 8.5),
        group(third, CYST, "CIRCLE", np.array([(2.5, 3.5), (4.0, 3.5)]), 4.0),
    ]
    report = read_sr(write_report(tmp_path / "sr.dcm", files, groups))
    assert [g.name for g in report.groups] == ["Nodule", "Cyst"]
    assert report.reader == "Reader^A"
    assert report.series == ("1.2.3.4",)
    assert [(m.name, m.value, m.unit) for m in report.groups[0].measurements] == [
        ("Diameter", 8.5, "mm"),
        ("Attenuation Coefficient (Mean)", -30.5, "[hnsf'U]"),
    ]
    image = open_dicom(files)
    headers = {h.sop_uid: h for h in map(read_header, files)}
    placed = place_region(report.groups[0].regions[0], headers, image.grid, "sr.dcm")
    assert placed is not None
    assert placed.slice == 2
    expected = np.zeros(image.grid.shape[1:], bool)
    expected[1:5, 1:4] = True
    np.testing.assert_array_equal(fill([placed.outline], image.grid.shape[1:]), expected)
    disk = place_region(report.groups[1].regions[0], headers, image.grid, "sr.dcm")
    assert disk is not None
    assert fill([disk.outline], image.grid.shape[1:])[3, 2]
    with pytest.raises(Refused, match="which is not there") as refusal:
        place_region(report.groups[0].regions[0], {}, image.grid, "sr.dcm")
    assert refusal.value.code == "image-missing"


def test_real_reports(shared_data: Path) -> None:
    folder = shared_data / "dicom" / "seg_sr_rt"
    tumour = read_sr(folder / "pet_tumor_measurements_sr.dcm")
    assert tumour.groups[0].name == "Neoplasm, Primary"
    numbers = {m.name: (m.value, m.unit) for m in tumour.groups[0].measurements}
    assert numbers["SUVbw (Maximum)"] == (10.3814, "{SUVbw}g/ml")
    assert numbers["Volume"] == (33.5824, "ml")
    assert tumour.groups[0].segments[0].numbers == (1,)
    spine = read_sr(folder / "highdicom" / "sr_document.dcm")
    assert spine.groups[0].site == "Cervico-thoracic spine"
    assert spine.groups[0].regions[0].kind == "CIRCLE"


def test_other_objects_and_damage_are_refused_by_name(tmp_path: Path, shared_data: Path) -> None:
    folder = shared_data / "dicom" / "seg_sr_rt"
    with pytest.raises(Refused, match="not a structured report"):
        read_sr(folder / "rt_phantom" / "rt.dcm")
    tags = pydicom.dcmread(folder / "highdicom" / "sr_document.dcm")
    tags.ContentSequence = tags.ContentSequence[:3]
    tags.save_as(tmp_path / "empty.dcm")
    with pytest.raises(Refused, match="without a measurement group") as refusal:
        read_sr(tmp_path / "empty.dcm")
    assert refusal.value.code == "no-measurements"
