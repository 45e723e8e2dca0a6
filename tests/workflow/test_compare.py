"""`overread compare` from evaluation files, run folders, projects and sheets of reads."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from overread.cli.comparison import describe
from overread.core.errors import OverreadError
from overread.record.ledger import Ledger
from overread.workflow.compare import compare
from overread.workflow.comparisons.readers import compare_readers
from overread.workflow.evaluate_answers import evaluate_answers


def sheet(path: Path, head: str, rows: list[tuple]) -> Path:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head.split(","))
        writer.writerows(rows)
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Evaluations of two programs on 60 cases of 30 patients."""
    random = np.random.default_rng(0)
    sick = np.arange(60) % 3 == 0
    truth = sheet(
        tmp_path / "truth.csv", "id,patient,diagnosis",
        [(f"k{i:02d}", f"m{i // 2}", "malignant" if s else "benign") for i, s in enumerate(sick)],
    )  # fmt: skip
    made = []
    for name, gain in (("old", 0.8), ("new", 2.5), ("third", 0.9)):
        p = 1 / (1 + np.exp(-(random.normal(size=60) + gain * sick - 0.5)))
        answers = sheet(tmp_path / f"{name}.csv", "id,malignant", [(f"k{i:02d}", f"{v:.4f}") for i, v in enumerate(p)])
        made.append(tmp_path / f"{name}.json")
        evaluate_answers(truth, answers, "classification", positive="malignant", resamples=50, out=made[-1])
    return made


def test_anybodys_evaluations(files: list[Path], tmp_path: Path) -> None:
    result = compare(files[:2], endpoints=["auc", "sensitivity"], out=tmp_path / "out")
    auc, sensitivity = result["comparisons"]
    assert auc["difference"]["estimate"] == pytest.approx(auc["values"]["new"] - auc["values"]["old"])
    assert (auc["difference"]["n_cases"], auc["difference"]["n_patients"]) == (60, 30)
    assert sensitivity["difference"]["n_cases"] == 20
    assert auc["p_holm"] >= auc["p"]
    written = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert written["comparisons"] == json.loads(json.dumps(result["comparisons"]))
    assert "cases" not in written
    assert "k01" not in json.dumps(written)
    assert [c["endpoint"] for c in compare(files[:2])["comparisons"]] == ["auc/malignant"]


def test_an_external_cohort_is_called_by_its_name(files: list[Path]) -> None:
    for number, path in enumerate(files[:2], 1):
        opening = {"number": number, "primary_endpoint": "auc", "declared": []}
        path.write_text(json.dumps({**json.loads(path.read_text()), "partition": "external:twente", "opening": opening}))
    result = compare(files[:2])
    assert "auc/malignant was not declared before the external cohort 'twente' was opened" in " ".join(result["notes"])
    assert "opened the external cohort 'twente'; the last of them was opening number 2" in " ".join(result["notes"])
    assert describe(result).startswith("Compared on the external cohort 'twente': 60 cases of 30 patients.")


def test_every_model_is_compared_with_the_first(files: list[Path]) -> None:
    result = compare(files)
    assert [(c["reference"], c["model"]) for c in result["comparisons"]] == [("old", "new"), ("old", "third")]
    assert any("Holm" in note for note in result["notes"])


def test_seeds_and_names(files: list[Path]) -> None:
    result = compare([f"weak={files[0]}+{files[2]}", f"strong={files[1]}"])
    assert [m["name"] for m in result["models"]] == ["weak", "strong"]
    assert [(s["model"], s["over"], len(s["values"])) for s in result["spread"]] == [("weak", "runs", 2)]
    assert result["spread"][0]["sd"] == pytest.approx(np.std(result["spread"][0]["values"], ddof=1))
    with pytest.raises(OverreadError, match="Two are called 'old'"):
        compare([files[0], files[0]])
    with pytest.raises(OverreadError, match="one to compare only, old"):
        compare([files[0]])
    with pytest.raises(OverreadError, match=r"old\.csv is (damaged|not an evaluation)"):
        compare([files[0], files[0].with_suffix(".csv")])


def test_a_margin_is_written_down(files: list[Path]) -> None:
    result = compare(files[:2], endpoints=["auc"], margin=0.05)
    assert result["comparisons"][0]["margin"] == {"size": 0.05, "aim": "non-inferior"}
    assert result["comparisons"][0]["shown"]
    assert any("cannot know when that was" in note for note in result["notes"])
    with pytest.raises(OverreadError, match="The aim 'best' is not known"):
        compare(files[:2], margin=0.05, aim="best")


def test_pseudonyms_that_mean_other_cases_are_found_out(files: list[Path]) -> None:
    link = files[1].with_name("new-link.csv")
    link.chmod(0o600)
    link.write_text(link.read_text().replace(",k01,", ",k99,"))
    with pytest.raises(OverreadError, match=r"1 cases are other ones in new\.json than in old\.json"):
        compare(files[:2])


def test_scores_that_were_measured_otherwise_are_refused(files: list[Path]) -> None:
    content = json.loads(files[1].read_text())
    for score in content["scores"]:
        score["definition"] = score["definition"].replace("auc/1", "auc/2")
    files[1].write_text(json.dumps(content))
    with pytest.raises(OverreadError, match=r"was not measured alike: old has auc/1: .*; new has auc/2"):
        compare(files[:2])
    content["cases"][0]["answer"] = {"benign": None, "malignant": None}
    files[1].write_text(json.dumps(content))
    with pytest.raises(OverreadError, match=r"1 cases have a truth and no answer \(case-0001\)"):
        compare(files[:2], endpoints=["brier"])


@pytest.fixture
def project(files: list[Path], tmp_path: Path) -> Path:
    """A project's folder with two evaluated runs, and an internal test that was opened twice."""
    folder = tmp_path / "project"
    for name, file in (("first", files[0]), ("second", files[1])):
        (folder / "runs" / name).mkdir(parents=True)
        for partition in ("tuning", "internal"):
            content = {**json.loads(file.read_text()), "partition": partition, "model": f"sha256:{name}"}
            if partition == "internal":
                content["opening"] = {"primary_endpoint": "accuracy", "declared": ["auc"], "number": 1}
            (folder / "runs" / name / f"evaluation-{partition}.json").write_text(json.dumps(content))
    (folder / "project.toml").write_text(
        '[project]\nname = "x"\n[question]\ntask = "classification"\nclasses = ["benign", "malignant"]\n'
    )
    for number in (1, 2):
        Ledger(folder / "cohort" / "ledger.jsonl").append("opening", partition="internal", number=number)
    return folder


def test_runs_of_a_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from overread.workflow.project import Project

    monkeypatch.setattr(
        "overread.workflow.comparisons.contenders.Project.open", lambda path: Project(path)
    )  # settings play no part
    before = (project / "cohort" / "ledger.jsonl").read_bytes()
    tuning = compare([project], runs=["first", "second"])
    assert tuning["partition"] == "tuning"
    assert any("which is better there, not on new cases" in note for note in tuning["notes"])
    internal = compare([project], on="internal")
    assert [c["endpoint"] for c in internal["comparisons"]] == ["accuracy/all", "auc/malignant"]
    assert any("has been opened 2 times so far; comparing opens nothing" in note for note in internal["notes"])
    assert any("accuracy/all was not declared before" in note for note in internal["notes"])
    assert (project / "cohort" / "ledger.jsonl").read_bytes() == before
    named = compare([project], runs=["old=first", "second+first"])
    assert [m["name"] for m in named["models"]] == ["old", "second+first"]
    assert any("one and the same model" in note for note in named["notes"])
    (project / "runs" / "second" / "evaluation-internal.json").unlink()
    with pytest.raises(OverreadError, match="1 runs of this project were evaluated on internal"):
        compare([project], on="internal")
    with pytest.raises(OverreadError, match=r"Run 'second' was not evaluated on internal \(evaluated on: tuning\)"):
        compare([project], runs=["first", "second"], on="internal")


def test_run_folders(project: Path) -> None:
    result = compare([project / "runs" / "first", project / "runs" / "second"])
    assert [m["name"] for m in result["models"]] == ["first", "second"]
    with pytest.raises(OverreadError, match="names runs of a project"):
        compare([project / "runs" / "first"], runs=["first"])


@pytest.fixture
def reads(tmp_path: Path) -> dict[str, Path]:
    """Three readers, 48 cases of 24 patients, without and with help, and a model."""
    random = np.random.default_rng(1)
    sick = np.arange(48) % 2 == 0
    found = {
        "truth": sheet(
            tmp_path / "truth.csv", "case_id,patient_id,truth",
            [(f"k{i}", f"m{i // 2}", "malignant" if s else "benign") for i, s in enumerate(sick)],
        ),
        "model": sheet(
            tmp_path / "model.csv", "case_id,malignant",
            [(f"k{i}", f"{1 / (1 + np.exp(-v)):.4f}") for i, v in enumerate(random.normal(size=48) + 2.0 * sick - 1)],
        ),
    }  # fmt: skip
    for name, gain in (("without", 1.0), ("with", 2.0)):
        rows = []
        for reader in ("ANNA", "BEN", "CARL"):
            rating = np.clip(np.round(50 + 20 * (random.normal(size=48) + gain * (sick - 0.5))), 0, 100).astype(int)
            rows += [(f"k{i}", reader, v, "yes" if v >= 50 else "no") for i, v in enumerate(rating)]
        found[name] = sheet(tmp_path / f"{name}.csv", "case_id,reader,rating,biopsy", rows)
    return found


def test_a_model_against_readers(reads: dict[str, Path], tmp_path: Path) -> None:
    result = compare_readers(
        reads["without"], truth=reads["truth"], model=reads["model"], positive="malignant", out=tmp_path / "c.json"
    )
    assert [row["metric"] for row in result["scores"]] == ["auc", "sensitivity", "specificity", "kappa"]
    auc = result["comparisons"][0]
    assert (auc["reference"], auc["model"]) == ("the readers", "the model")
    assert auc["difference"]["n_patients"] == 24
    assert "Obuchowski-Rockette" in auc["difference"]["method"]
    assert set(result["scores"][0]["each"]) == {"ANNA", "BEN", "CARL", "the model"}
    assert json.loads((tmp_path / "c.json").read_text())["readers"] == ["ANNA", "BEN", "CARL"]
    one = compare_readers(
        reads["without"], truth=reads["truth"], model=reads["model"], positive="malignant", endpoints=["auc"], margin=0.3
    )
    assert one["comparisons"][0]["margin"]["size"] == 0.3


def test_readers_with_and_without(reads: dict[str, Path]) -> None:
    result = compare_readers(reads["without"], aided=reads["with"], truth=reads["truth"], positive="malignant")
    auc = result["comparisons"][0]
    assert (auc["reference"], auc["model"]) == ("reading alone", "reading with the model")
    assert auc["difference"]["estimate"] > 0
    assert "kappa" not in [row["metric"] for row in result["scores"]]


def test_read_twice(reads: dict[str, Path], tmp_path: Path) -> None:
    result = compare_readers(reads["without"], again=reads["without"])
    by = {row["name"]: row["means"] for row in result["scores"]}
    assert by["Cohen's kappa, biopsy, first with second read"]["ANNA"]["estimate"] == pytest.approx(1)
    assert by["Intraclass correlation, ICC(A,1), rating, first with second read"]["BEN"]["estimate"] == pytest.approx(1)
    lines = reads["without"].read_text().splitlines()
    single = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for path in single:
        path.write_text("\n".join([lines[0], *(line for line in lines if ",ANNA," in line)]) + "\n")
    result = compare_readers(single[0], again=single[1])
    assert result["readers"] == ["the reader"]
    assert result["n_cases"] == 48


def test_faults_of_reads_are_named(reads: dict[str, Path], tmp_path: Path) -> None:
    truth, model = reads["truth"], reads["model"]

    def refused(message: str, readers: Path, **words) -> None:
        with pytest.raises(OverreadError, match=message):
            compare_readers(readers, **{"truth": truth, "model": model, "positive": "malignant", **words})

    lines = reads["without"].read_text().splitlines()
    short = tmp_path / "short.csv"
    short.write_text("\n".join(lines[:-1]) + "\n")
    refused("1 reads are missing in 'rating' .the readers.: CARL did not read k47", short)
    refused("one of --model, --aided or --again; given: none", reads["without"], model=None)
    refused("none was given", reads["without"], truth=None)
    refused("which one is positive is not said", reads["without"], positive=None)
    refused("no column 'score'", reads["without"], column="score")
    longer = sheet(tmp_path / "longer.csv", "case_id,truth", [(f"k{i}", i % 2) for i in range(50)])
    refused("2 of 50 cases with a truth were read by nobody", reads["without"], truth=longer, positive=None)
    refused("'dice' is no score of readers", reads["without"], endpoints=["dice"])
