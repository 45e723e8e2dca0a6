"""`overread audit --readers`, from files to a fused reference standard that `overread init` takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from overread.cli.main import main
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.imaging.labels import open_labels
from overread.imaging.nifti import write_nifti
from overread.workflow.audits.readers import audit_readers


def sheet(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def two_sheets(tmp_path: Path) -> dict[str, Path]:
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 40)
    size = random.normal(20, 5, 40)
    lines: dict[str, list[str]] = {"ANNA": [], "BEN": []}
    for k in range(40):
        for reader, flips, extra in (("ANNA", 0.05, 0.0), ("BEN", 0.15, 1.5)):
            seen = truth[k] ^ int(random.random() < flips)
            grade = min(5, max(1, int(size[k] // 6) + int(random.random() < 0.2)))
            lines[reader].append(
                f"c{k:02d},p{k // 2},{'yes' if seen else 'no'},{size[k] + extra + random.normal(0, 1):.2f},{grade}"
            )
    head = "case_id,patient_id,nodule,size_mm,grade"
    return {reader: sheet(tmp_path / f"{reader}.csv", head, *rows) for reader, rows in lines.items()}


def test_sheets_of_two_readers(two_sheets: dict[str, Path]) -> None:
    found = audit_readers(two_sheets, grades=["grade"], resamples=200)
    by = {(row["subject"], row["metric"]): row["interval"] for row in found.scores}
    assert (found.n_cases, found.n_patients) == (40, 20)
    assert 0.4 < by["nodule", "kappa"]["estimate"] < 1
    assert by["nodule", "kappa"]["low"] < by["nodule", "kappa"]["estimate"] < by["nodule", "kappa"]["high"]
    assert by["size_mm", "icc"]["estimate"] > 0.8
    assert by["size_mm", "bias"]["estimate"] == pytest.approx(1.5, abs=0.6)
    assert by["grade", "weighted_kappa"]["estimate"] > by["grade", "kappa"]["estimate"]
    assert any(note.startswith("nodule: taken as categories (no, yes)") for note in found.notes)
    assert any(note.startswith("size_mm: taken as a measurement") for note in found.notes)


def test_one_long_sheet_with_three_readers(tmp_path: Path) -> None:
    rows = [f"c{k},{reader},{int((k + (reader == 'C' and k % 5 == 0)) % 2)}" for k in range(30) for reader in "ABC"]
    found = audit_readers(sheet(tmp_path / "reads.csv", "case_id,reader,finding", *rows, "c99,A,1"), resamples=200)
    fleiss = [row for row in found.scores if row["metric"] == "fleiss_kappa"]
    assert [row["between"] for row in fleiss] == ["all readers"]
    assert fleiss[0]["interval"]["n_cases"] == 30
    assert {row["between"] for row in found.scores if row["metric"] == "kappa"} == {"A, B", "A, C", "B, C"}
    assert any("1 of 31 cases were read by one reader only" in note for note in found.notes)


def test_a_fused_sheet_leaves_ties_blank(tmp_path: Path) -> None:
    first = sheet(tmp_path / "a.csv", "id,lesion,mm", "x,1,10.5", "y,1,20", "z,0,30")
    second = sheet(tmp_path / "b.csv", "id,lesion,mm", "x,1,12", "y,0,20", "z,0,30")
    audit_readers({"a": first, "b": second}, rule="majority", out=tmp_path / "fused.csv", resamples=50)
    assert (tmp_path / "fused.csv").read_text().splitlines() == [
        "case_id,patient_id,lesion,mm", "x,x,1,11.25", "y,y,,20", "z,z,0,30",
    ]  # fmt: skip
    record = json.loads((tmp_path / "fused-fusion.json").read_text())
    assert record["columns"]["lesion"] == {"rule": "more than half of those who read the case", "blank": 1}


@pytest.fixture
def mask_folders(tmp_path: Path) -> dict[str, Path]:
    grid = Grid.from_spacing((6, 16, 16), (3.0, 1.0, 1.0))
    for shift, reader in enumerate(("ANNA", "BEN", "CARL")):
        (tmp_path / reader).mkdir()
        for case in range(6):
            mask = np.zeros(grid.shape, np.uint8)
            mask[1:5, 3 : 9 + shift, 3 : 10 + case % 3] = 1
            write_nifti(tmp_path / reader / f"case_{case}.nii.gz", mask, grid)
    (tmp_path / "CARL" / "case_5.nii.gz").unlink()
    return {reader: tmp_path / reader for reader in ("ANNA", "BEN", "CARL")}


def test_masks_and_their_fusion(mask_folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for reader, folder in mask_folders.items() for word in ("--readers", f"{reader}={folder}")]
    out = tmp_path / "fused"
    assert main(["audit", *words, "--class", "liver=1", "--fuse", "majority", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "6 cases of 6 patients, readers ANNA, BEN, CARL." in said
    assert "each counts as a patient of its own" in said
    assert "-0.000" not in said
    assert "Dice" in said
    assert "liver, volume:" in said
    assert f"--truth {out}" in said
    layers, _ = open_labels([out / "case_0.nii.gz"], "nifti")
    middle, _ = open_labels([mask_folders["BEN"] / "case_0.nii.gz"], "nifti")
    assert np.array_equal(layers, middle)  # nested masks: the majority of three is the middle one
    record = json.loads((out / "fusion.json").read_text())
    assert record["rule"] == "majority"
    assert record["readers"] == ["ANNA", "BEN", "CARL"]
    tied, _ = open_labels([out / "case_5.nii.gz"], "nifti")
    smaller, _ = open_labels([mask_folders["ANNA"] / "case_5.nii.gz"], "nifti")
    assert np.array_equal(tied, smaller)  # a tie of two readers is background


def test_a_case_the_named_reader_did_not_draw_is_left_out(mask_folders: dict[str, Path], tmp_path: Path) -> None:
    sorted(mask_folders["BEN"].glob("*.nii.gz"))[0].unlink()
    found = audit_readers(mask_folders, rule="BEN", out=tmp_path / "bens", resamples=50)
    assert found.fused is not None
    assert found.fused["cases"] == 5
    assert len(found.fused["left_out"]) == 1
    assert len(list((tmp_path / "bens").glob("*.nii.gz"))) == 5


def test_staple_records_each_readers_performance(mask_folders: dict[str, Path], tmp_path: Path) -> None:
    found = audit_readers(mask_folders, classes={"liver": 1}, rule="staple", out=tmp_path / "s", resamples=50)
    assert found.fused is not None
    performance = found.fused["performance"]["case_0"]["liver"]
    assert set(performance) == {"ANNA", "BEN", "CARL"}
    assert performance["ANNA"]["sensitivity"] < performance["CARL"]["sensitivity"]


def test_faults_are_named(two_sheets: dict[str, Path], mask_folders: dict[str, Path], tmp_path: Path) -> None:
    def refused(message: str, reads: object, **words: object) -> None:
        with pytest.raises(OverreadError, match=message):
            audit_readers(reads, resamples=50, **words)  # type: ignore[arg-type]

    refused("no column that names the reader", two_sheets["ANNA"])
    refused("one reader only", {"ANNA": two_sheets["ANNA"]})
    refused("compare like with like", {"A": two_sheets["ANNA"], "B": mask_folders["BEN"]})
    refused("does not exist", {"A": tmp_path / "nowhere.csv", "B": two_sheets["BEN"]})
    refused("give both --fuse and --out", two_sheets, rule="majority")
    refused("neither a rule", two_sheets, rule="mean", out=tmp_path / "new.csv")
    refused("exists already", two_sheets, rule="majority", out=two_sheets["BEN"])
    refused("No column is called 'stage'", two_sheets, grades=["stage"])
    twice = sheet(tmp_path / "twice.csv", "id,x", "a,1", "a,0")
    refused("occurs twice for one reader", {"A": twice, "B": two_sheets["BEN"]})
    assert not (tmp_path / "new.csv").exists()
