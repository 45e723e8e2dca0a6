"""`update` looks only at what is new: `init` left the headers it read in the private folder."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from imaging.make_dicom import make_series
from overread.cohort.folders import headers_path
from overread.cohort.load import load_image
from overread.imaging import crew
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.update import update

CASES = 12


def exams_with_one_in_an_archive(folder: Path) -> tuple[Path, Path]:
    """Series of three slices, a folder each; the last one in a zip. And the sheet."""
    images, rows = folder / "images", ["id,mrn,label"]
    for k in range(CASES):
        ids = {"PatientID": f"MRN{k}", "StudyInstanceUID": f"1.2.{k + 1}", "SeriesInstanceUID": f"1.3.{k + 1}"}
        volume = np.random.default_rng(k).integers(0, 2000, (3, 6, 5)).astype(np.int16)
        make_series(images / f"case{k:02d}", [0.0, 2.0, 4.0], volume=volume, **ids)
        name = f"case{k:02d}" if k < CASES - 1 else "last.zip/inside"
        rows.append(f"{name},MRN{k},{'ill' if k % 2 else 'well'}")
    last = images / f"case{CASES - 1:02d}"
    with zipfile.ZipFile(images / "last.zip", "w") as archive:
        for path in sorted(last.iterdir()):
            archive.write(path, f"inside/{path.name}")
            path.unlink()
    last.rmdir()
    sheet = folder / "sheet.csv"
    sheet.write_text("\n".join(rows) + "\n")
    return images, sheet


def test_an_update_reads_no_header_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, sheet = exams_with_one_in_an_archive(tmp_path)
    words = {"sheet": sheet, "positive": "ill", "label": ["label"], "group_by": "mrn", "id_column": "id"}
    before = sorted(tmp_path.rglob("*"))
    init(tmp_path / "p", images, dry_run=True, **words)
    assert sorted(tmp_path.rglob("*")) == before
    init(tmp_path / "p", images, **words)
    headers = headers_path(tmp_path / "p")
    assert headers.stat().st_mode & 0o077 == 0
    looked_at: list[str] = []
    inspect_file = crew.inspect_file
    monkeypatch.setattr(crew, "inspect_file", lambda folder, name: (looked_at.append(name), inspect_file(folder, name))[1])
    update(tmp_path / "p")
    assert looked_at == ["last.zip"]  # its list of members
    cohort = Project.open(tmp_path / "p").cohort()
    assert [load_image(cohort, case).array.shape for case in cohort.cases] == [(1, 3, 6, 5)] * CASES
