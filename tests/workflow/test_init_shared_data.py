"""`overread init` on real radiology data whose leaks are known from their description."""

from __future__ import annotations

from pathlib import Path

import pytest

from overread.core.errors import Refused
from overread.workflow.init import init


def test_hippocampus_with_and_without_a_patient_column(tmp_path: Path, shared_data: Path) -> None:
    folder = shared_data / "msd_hippocampus"
    project = init(tmp_path / "a", folder, sheet=folder / "cases.csv", group_by="presumed_subject", folds=5)
    assert project.question.classes == ("Anterior", "Posterior")
    cohort = project.cohort(0)
    assert len(cohort.cases) == 194
    assert len({c.patient_id for c in cohort.cases}) == 128
    sides = {(c.patient_id, cohort.partition[c.case_id]) for c in cohort.cases}
    assert len(sides) == 128
    alone = init(tmp_path / "b", folder)
    assert "independence of training and test cannot be claimed" in str(alone.summary)


def test_the_contradicting_duplicate_of_breastmnist(tmp_path: Path, shared_data: Path) -> None:
    archive = shared_data / "medmnist" / "breastmnist.npz"
    with pytest.raises(Refused) as caught:
        init(tmp_path / "a", archive, positive="0")
    said = str(caught.value)
    assert "training: breastmnist-train-00115; internal: breastmnist-test-00076; with contradicting truths" in said
    assert "--leak-override" in said
    project = init(
        tmp_path / "a", archive, positive="malignant", names={"0": "malignant", "1": "other"}, leak_override="published"
    )
    assert project.summary is not None
    assert project.summary.facts["parts"]["internal"]["classes"] == {"malignant": 42, "other": 114}


def test_the_identical_images_of_pneumoniamnist(tmp_path: Path, shared_data: Path) -> None:
    with pytest.raises(Refused, match="8 identical images"):
        init(tmp_path / "a", shared_data / "medmnist" / "pneumoniamnist_reassembled.npz", positive="1")


def test_the_leaky_split_of_the_chest_films(tmp_path: Path, shared_data: Path) -> None:
    folder = shared_data / "nih_cxr_64"
    with pytest.raises(Refused, match=r"30 patients \(309 cases\) lie in more than one partition"):
        init(tmp_path / "a", folder, sheet=folder / "manifest.csv", positive="1_abnormal")
    project = init(tmp_path / "a", folder, sheet=folder / "manifest.csv", positive="1_abnormal", splits="none")
    cohort = project.cohort()
    assert len({(c.patient_id, cohort.partition[c.case_id]) for c in cohort.cases}) == 264
