"""Patients from elsewhere: taken in under a seal of their own, read by the frozen model, compared with those at home."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cohort.folders import mask_cohort, write_png, write_sheet
from overread.cli.main import main
from overread.cli.scores import describe
from overread.cohort.index import current_digest, read_splits
from overread.core.errors import OverreadError, Refused
from overread.core.question import Decisions, OperatingPoint
from overread.record.files import write_json, write_text
from overread.workflow.cohorts.elsewhere import Columns
from overread.workflow.evaluate import evaluate
from overread.workflow.external import external, external_cohorts, home_of, open_external
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.readings.external import read_external
from overread.workflow.scoring.ledger_check import verify
from overread.workflow.update import update

DECLARED = {"hypothesis": "It works elsewhere.", "primary_endpoint": "auc", "margin": 0.5}


def films(
    folder: Path, patients: int, *, prefix: str, seed: int, ill: int, header: tuple[str, ...], words=("well", "ill")
) -> Path:
    """Two films per patient; one in `ill` patients is ill; ages rise."""
    rows = []
    for k in range(patients):
        for e in range(2):
            name = f"{prefix}{k:02d}_{e}.png"
            write_png(folder / "images" / name, seed + 10 * k + e)
            rows.append([name, f"{prefix.upper()}-{k:03d}", words[k % ill == 0], 40 + k, "MF"[k % 2]])
    write_sheet(folder / "labels.csv", header, rows)
    return folder


def home(folder: Path) -> Project:
    made = films(folder / "home", 24, prefix="p", seed=1, ill=3, header=("file", "patient", "label", "age", "sex"))
    return init(folder / "project", made / "images", sheet=made / "labels.csv", positive="ill", tuning=0.3, internal=0.3)


def away(folder: Path, **more) -> Path:
    given = {"prefix": "q", "seed": 5000, "ill": 2, "header": ("file", "patient", "label", "age", "sex")}
    return films(folder / "away", 12, **(given | more))


def take_in(project: Project, made: Path, name: str = "twente", **options) -> Project:
    return external(project, name, made / "images", sheet=made / "labels.csv", **options)


def answers(
    project: Project, partition: str, cohort: Project | None = None, *, noise: float, model: str = "sha256:model"
) -> Path:
    """Answers of a model that knows what is ill, a little: drawn without the files of the truth."""
    cases = (cohort or project).cohort().of("internal" if cohort else partition)
    random = np.random.default_rng(7)
    links = {line.split(",")[0]: line.split(",")[3] for line in _links(cohort or project)}
    run = project.run("first")
    folder = run.predictions / partition.replace(":", "-")
    lines = ["case_id,ill,well"]
    for case in cases:
        number = int(links[case.case_id].split("_")[0][1:])
        ill = number % (2 if cohort else 3) == 0
        p = float(np.clip(0.35 + 0.3 * ill + random.normal(0, noise), 0.01, 0.99))
        lines.append(f"{case.case_id},{p!r},{1 - p!r}")
    write_text(folder / "answers.csv", "\n".join(lines) + "\n")
    write_json(folder / "answers.json", {"format": 1, "model": model, "partition": partition})
    decisions = Decisions((OperatingPoint("ill", 0.5, "youden"),), 1.1)
    write_json(run.model / "model.json", {"format": 1, "state": "frozen", "sha256": model, "decisions": decisions.as_dict()})
    return folder


def _links(project: Project) -> list[str]:
    return (project.path / "cohort" / "private" / "link.csv").read_text().splitlines()[1:]


def test_from_elsewhere_to_the_difference(tmp_path: Path) -> None:
    project = home(tmp_path)
    other = take_in(project, away(tmp_path))
    assert "No patient and no identical image is in the project" in str(other.summary)
    assert set(read_splits(other.path)["partition"].values()) == {"internal"}
    assert all(case.truth is None for case in other.cohort().cases)
    assert [p.path.name for p in external_cohorts(project)] == ["twente"]
    assert home_of(other).path == project.path.resolve()
    assert home_of(project) is None
    with pytest.raises(OverreadError, match="has not read the external cohort 'twente' yet"):
        evaluate(project, "first", "external:twente", declare=DECLARED)
    answers(project, "tuning", noise=0.05)
    answers(project, "internal", noise=0.1)
    answers(project, "external:twente", other, noise=0.35)
    with pytest.raises(OverreadError, match="stays sealed: hypothesis"):
        evaluate(project, "first", "external:twente")
    assert [e["entry"] for e in project.ledger.entries()] == ["sealed", "external"]
    result = evaluate(project, "first", "external:twente", declare=DECLARED, panels=False)
    assert result["external"]["compared_with"] == "tuning"
    assert "internal test of this model was never opened" in result["external"]["notes"][0]
    evaluate(project, "first", "internal", declare=DECLARED, panels=False)
    result = evaluate(project, "first", "external:twente", declare=DECLARED)
    run = project.run("first")
    assert json.loads((run.path / "evaluation-external-twente.json").read_text())["partition"] == "external:twente"
    assert (run.path / "panels-external-twente" / "worst-1.png").exists()
    assert (result["n_cases"], result["n_patients"]) == (24, 12)
    moved = result["external"]
    assert moved["compared_with"] == "internal"
    area = next(row for row in moved["drop"] if row["role"] == "primary")
    gap = area["difference"]
    assert gap["estimate"] == pytest.approx(area["external"]["estimate"] - area["reference"]["estimate"])
    assert gap["low"] < gap["estimate"] < gap["high"]
    assert gap["n_patients"] == area["external"]["n_patients"] + area["reference"]["n_patients"]
    shares = {(row["what"], row["of"]): row for row in moved["shift"]}
    assert shares["class", "ill"]["external"]["estimate"] == 0.5
    assert shares["age", ""]["external"]["estimate"] == pytest.approx(45.5)
    assert {"sex"} <= {row["what"] for row in moved["shift"]}
    assert next(e["thresholds"] for e in project.ledger.entries() if e["entry"] == "opening") == {"ill": 0.5}
    openings = [(e["partition"], e["number"]) for e in project.ledger.entries() if e["entry"] == "opening"]
    assert openings == [("external:twente", 1), ("internal", 1), ("external:twente", 2)]
    assert [row["number"] for row in result["earlier"]] == [1]
    assert result["notes"][0].startswith("First result of this test")
    assert any("external cohort 'twente' has been opened 2 times" in note for note in result["notes"])
    text = describe(result)
    assert "on the external cohort 'twente'" in text
    assert "External minus the internal test" in text
    assert verify(project)[0].startswith("8 entries")
    assert "away" not in (run.path / "evaluation-external-twente.json").read_text(), "no path of the user's"


def test_what_the_audit_found_stands_beside_the_score(tmp_path: Path) -> None:
    project = home(tmp_path)
    other = take_in(project, away(tmp_path))
    answers(project, "tuning", noise=0.05)
    answers(project, "external:twente", other, noise=0.35)
    said = "1 identical image is in the project and in external:twente too (1 of its 24 cases)."
    fault = {"subject": "leak", "severity": "fault", "statement": said, "partitions": ["training", "external:twente"]}
    audit = {"cohort": current_digest(project.path), "concerns": [fault]}
    write_json(project.path / "audit" / "audit.json", audit)
    assert f"The audit found: {said}" in evaluate(project, "first", "external:twente", declare=DECLARED, panels=False)["notes"]
    assert not any(said in note for note in evaluate(project, "first", "tuning", panels=False)["notes"])


def test_nobody_may_be_in_both(tmp_path: Path) -> None:
    project = home(tmp_path)
    made = away(tmp_path)
    sheet = made / "labels.csv"
    sheet.write_text(sheet.read_text().replace("Q-003", "p3"))  # P-003 of the project, written otherwise
    with pytest.raises(Refused) as caught:
        take_in(project, made)
    assert "1 patient of the external cohort 'twente' is in the project too" in str(caught.value)
    assert "patient p3 (q03_0.png): " in str(caught.value)
    assert not (project.path / "external" / "twente").exists()
    assert [e["entry"] for e in project.ledger.entries()] == ["sealed"]
    taken = take_in(project, made, leak_override="both hospitals count from 1")
    entry = project.ledger.entries()[-1]
    assert (entry["entry"], entry["reason"], entry["cases"]) == ("overlap accepted", "both hospitals count from 1", 2)
    assert "2 cases are in the project too; you accepted that" in str(taken.summary)
    made = films(tmp_path / "third", 8, prefix="r", seed=9000, ill=2, header=("file", "patient", "label", "age", "sex"))
    (made / "images" / "r00_0.png").write_bytes((tmp_path / "home" / "images" / "p05_1.png").read_bytes())
    with pytest.raises(Refused, match="1 identical image of the external cohort 'third' is in the project too"):
        take_in(project, made, "third")


def test_a_new_patient_of_the_project_may_not_be_one_of_the_external_cohort(tmp_path: Path) -> None:
    project = home(tmp_path)
    take_in(project, away(tmp_path))
    write_png(tmp_path / "home" / "images" / "n.png", 777)
    with open(tmp_path / "home" / "labels.csv", "a", encoding="utf-8") as file:
        file.write("n.png,Q-001,ill,50,F\n")
    with pytest.raises(Refused, match="1 patient of the new cases is in external:twente too"):
        update(project.path)
    update(project.path, leak_override="another Q-001")
    assert [e["entry"] for e in project.ledger.entries()][-2:] == ["updated", "overlap accepted"]


def test_an_external_cohort_can_be_updated(tmp_path: Path) -> None:
    project = home(tmp_path)
    made = away(tmp_path)
    other = take_in(project, made)
    write_png(made / "images" / "new.png", 8888)
    sheet = made / "labels.csv"
    sheet.write_text(sheet.read_text().replace("q02_0.png,Q-002,ill", "q02_0.png,Q-002,well") + "new.png,Q-100,ill,50,F\n")
    with pytest.raises(OverreadError, match="overread update"):
        other.cohort()
    done = update(other.path, reason="all were read again")
    assert set(read_splits(other.path)["partition"].values()) == {"internal"}
    assert done.summary is not None
    assert done.summary.facts["changed"]["new_cases"] == 1
    entry = project.ledger.entries()[-1]
    assert (entry["entry"], entry["of"], entry["reason"]) == ("updated", "external:twente", "all were read again")
    assert not (other.path / "cohort" / "ledger.jsonl").exists()


def test_columns_and_values_may_be_called_otherwise(tmp_path: Path) -> None:
    project = home(tmp_path)
    made = away(tmp_path, header=("bild", "pat", "befund", "alter", "sex"), words=("ohne", "krank"))
    with pytest.raises(OverreadError, match=r"The project learned the column 'label', and labels\.csv has no such column"):
        take_in(project, made)
    columns = Columns(id_column="bild", label=("befund",), group_by="pat")
    with pytest.raises(OverreadError, match=r"'(ohne|krank)' is not among the classes"):
        take_in(project, made, columns=columns)
    other = take_in(project, made, columns=columns, names={"ohne": "well", "krank": "ill"})
    assert other.summary is not None
    assert other.summary.facts["parts"]["internal"]["classes"] == {"ill": 12, "well": 12}
    assert other.question == project.question


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    project = home(tmp_path)
    images, masks = mask_cohort(tmp_path / "masks", cases=3)
    with pytest.raises(OverreadError, match=r"The project.s images are single pictures, these are volumes"):
        external(project, "masks", images, masks)
    with pytest.raises(OverreadError, match=r"no external cohort 'twente' in this project \(there are: none yet\)"):
        open_external(project, "twente")
    made = away(tmp_path)
    take_in(project, made)
    with pytest.raises(OverreadError, match="an external cohort 'twente' already"):
        take_in(project, made)


@pytest.mark.parametrize("name", ["a/b", "../up", "St. Elsewhere", "Zürich", "a:b", "", ".hidden", "x" * 65])
def test_names_that_cannot_be_folders_are_refused(tmp_path: Path, name: str) -> None:
    project = home(tmp_path)
    made = away(tmp_path)
    with pytest.raises(OverreadError, match=r"cannot be the name of an external cohort(?s:.*)letters a to z"):
        take_in(project, made, name)
    with pytest.raises(OverreadError, match=r"There is no external cohort(?s:.*)external \S+ NAME --images"):
        open_external(project, name)
    assert not (project.path / "external").exists()


def test_a_cohort_of_one_class_is_taken_in(tmp_path: Path) -> None:
    project = home(tmp_path)
    other = take_in(project, away(tmp_path, ill=1))
    assert other.summary is not None
    assert other.summary.facts["parts"]["internal"]["classes"] == {"ill": 24, "well": 0}
    answers(project, "tuning", noise=0.05)
    answers(project, "external:twente", other, noise=0.2)
    said = {"hypothesis": "It finds the ill.", "primary_endpoint": "sensitivity"}
    result = evaluate(project, "first", "external:twente", declare=said, panels=False)
    found = {s["metric"]: s["interval"] for s in result["scores"] if s["subject"] in ("ill", "all")}
    assert found["sensitivity"]["n_cases"] == 24
    assert found["sensitivity"]["low"] is not None
    assert found["auc"]["estimate"] is None
    assert found["auc"]["reason"]


def test_a_cohort_under_another_name_is_not_opened(tmp_path: Path) -> None:
    """Its openings would be counted from one again."""
    project = home(tmp_path)
    other = take_in(project, away(tmp_path))
    other.path.rename(other.path.parent / "enschede")
    with pytest.raises(OverreadError, match=r"'enschede' is not in the project's ledger: its folder was renamed"):
        evaluate(project, "first", "external:enschede", declare=DECLARED)
    with pytest.raises(OverreadError, match=r"'enschede' is not in the ledger"):
        verify(project)


def test_another_version_than_the_ledger_names_is_seen(tmp_path: Path) -> None:
    project = home(tmp_path)
    other = take_in(project, away(tmp_path))
    lines = other.path / "cohort" / "versions.jsonl"
    lines.write_text(lines.read_text().replace('"digest": "sha256:', '"digest": "sha256:f'))
    with pytest.raises(OverreadError, match=r"external cohort 'twente' is not the version that the ledger names"):
        verify(project)


def test_an_interrupt_while_it_is_taken_in_leaves_nothing_to_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, made = home(tmp_path), away(tmp_path)

    def interrupted(*given, **options):
        raise KeyboardInterrupt

    for where in ("write_settings", "_record"):
        monkeypatch.setattr(f"overread.workflow.external.{where}", interrupted)
        with pytest.raises(KeyboardInterrupt):
            take_in(project, made)
        monkeypatch.undo()
        assert list((project.path / "external").iterdir()) == []
    monkeypatch.setattr("overread.workflow.external.shutil.rmtree", lambda *given, **options: None)  # as if it was killed
    monkeypatch.setattr("overread.workflow.external.os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        take_in(project, made)
    monkeypatch.undo()
    assert len(list((project.path / "external").iterdir())) == 1
    assert external_cohorts(project) == ()
    verify(project)
    assert take_in(project, made).path.name == "twente"


def test_a_run_without_a_model_names_one_that_has(tmp_path: Path) -> None:
    project = home(tmp_path)
    other = take_in(project, away(tmp_path))
    (project.path / "runs" / "baseline").mkdir(parents=True)
    with pytest.raises(OverreadError, match=r"Run 'baseline' has no model(?s:.*)overread train"):
        read_external(project, "twente", "baseline")
    answers(project, "external:twente", other, noise=0.2)
    with pytest.raises(OverreadError, match=r"Run 'baseline' has no model(?s:.*)--run first"):
        read_external(project, "twente", "baseline")


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, made = home(tmp_path), away(tmp_path)
    words = ["external", str(project.path), "twente", "--images", str(made / "images"), "--sheet", str(made / "labels.csv")]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "all its truths are under seal" in out
    assert "Next: overread train" in out
    assert main(["external", str(project.path), "twente", "--label", "x"]) == 2
    assert main(["evaluate", str(project.path), "--on", "elsewhere"]) == 2
    assert "none of tuning, internal, external:NAME" in capsys.readouterr().err
    answers(project, "tuning", noise=0.05)
    answers(project, "external:twente", open_external(project, "twente"), noise=0.2)
    assert main(["evaluate", str(project.path), "--on", "external:twente"]) == 2
    assert "The external cohort 'twente' stays sealed" in capsys.readouterr().err
    said = ["--hypothesis", "h", "--primary-endpoint", "auc", "--yes"]
    assert main(["evaluate", str(project.path), "--on", "external:twente", *said]) == 0
    assert "External minus tuning cases" in capsys.readouterr().out
    assert main(["ledger", "verify", str(project.path)]) == 0
    assert "The ledger is whole" in capsys.readouterr().out
