"""`overread embed` on a tiny project with a site that the films show: the test, the similar cases, the page, the seal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from overread.cli.main import main
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.explanation.embedding import projections
from overread.record.files import read_json, write_json
from overread.reporting.explanation.embedding import embedding_section
from overread.reporting.page_parts import Part, Table
from overread.workflow.embed import embed, told_columns
from overread.workflow.explanations.embedding import embedded
from overread.workflow.explanations.embedding.audit import audited_areas
from overread.workflow.explanations.embedding.columns import columns_of, held_fixed, is_known
from overread.workflow.explanations.embedding.similar import similar_of
from overread.workflow.explanations.record import part_of
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.report import report
from workflow.balls import ball, write_sheet
from workflow.untrained import untrained


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two films of each of 56 patients; those of one site have a bright border. A network with random weights, frozen."""
    folder = tmp_path_factory.mktemp("films")
    random = np.random.default_rng(1)
    (folder / "images").mkdir()
    rows = []
    for k in range(112):
        patient, radius = k // 2, 3.0 + (k // 2 % 6)
        image, _ = ball((32, 32), radius, random)
        site = "North" if patient % 4 < 2 else "South"
        if site == "South":
            image[:4] = 240
        Picture.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(folder / "images" / f"film{k:03d}.png")
        row = {"film": f"film{k:03d}", "patient": f"MRN{patient:03d}", "ball": "large" if radius > 5.5 else "small"}
        rows.append({**row, "site": site, "age": 30 + patient})
    write_sheet(folder / "sheet.csv", rows)
    options: dict[str, Any] = {"group_by": "patient", "label": ["ball"], "positive": "large", "tuning": 0.3, "internal": 0.2}
    made = init(folder / "project", folder / "images", sheet=folder / "sheet.csv", covariates=("site", "age"), **options)
    project = Project.open(made.path)
    untrained(project, "first", architecture="resnet10")
    return project


@pytest.fixture(autouse=True)
def without_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its compiler takes a minute, and its pictures are tested elsewhere."""

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(projections, "import_module", missing)


@pytest.fixture(scope="module")
def looked(films: Project) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projections, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
        sealed = films.path / "cohort" / "sealed" / "internal.parquet"
        hidden = sealed.rename(films.path / "hidden")  # nothing here may need it
        ledger = (films.path / "cohort" / "ledger.jsonl").read_bytes()
        try:
            result = embed(films)
        finally:
            hidden.rename(sealed)
        assert (films.path / "cohort" / "ledger.jsonl").read_bytes() == ledger
    return result


def test_the_site_is_told_beyond_the_label(looked: dict[str, Any]) -> None:
    rows = {row["column"]: row for row in looked["told"]["rows"]}
    assert rows["site"]["verdict"] == "beyond the label"
    assert rows["site"]["interval"]["estimate"] > 0.9
    assert rows["partition"]["verdict"] != "beyond the label"
    assert set(rows) == {"site", "age", "partition"}


def test_what_is_recorded_is_pseudonymous_and_says_no_label_of_the_internal_test(films: Project, looked: dict[str, Any]) -> None:
    run = films.run("first")
    part = part_of(run, "embedding")
    assert part is not None
    record, cohort = part.record, films.cohort()
    assert record["n_cases"]["internal"] == len(cohort.of("internal"))
    columns = [column["name"] for column in record["columns"]]
    assert columns[:3] == ["label", "answer", "partition"]
    internal = {case.case_id for case in cohort.of("internal")}
    order = record["columns"][0]["order"]
    assert {order[p["groups"][0]] for p in record["points"] if p["case_id"] in internal} == {"not known"}
    text = json.dumps(record) + (run.path / "explanation.html").read_text()
    assert "MRN0" not in text
    assert "film0" not in text
    assert len([p for p in record["projections"] if p["points"]]) == 2
    assert "pip install umap-learn" in text
    assert "Wattenberg" in text


def test_similar_cases_are_training_cases_of_other_patients(films: Project, looked: dict[str, Any]) -> None:
    similar, cohort = similar_of(films.run("first")), films.cohort()
    patient = {case.case_id: case.patient_id for case in cohort.cases}
    training = {case.case_id for case in cohort.of("training")}
    assert set(similar) == {case.case_id for part in ("tuning", "internal") for case in cohort.of(part)}
    for case_id, near in similar.items():
        assert len(near) == 5
        assert {one["case_id"] for one in near} <= training
        assert patient[case_id] not in {patient[one["case_id"]] for one in near}
        assert [one["distance"] for one in near] == sorted(one["distance"] for one in near)
        assert {one["truth"] for one in near} <= {"large", "small"}
    assert looked["precision"]["by_features"]["n_cases"] == len(cohort.of("tuning"))
    part = part_of(films.run("first"), "embedding")
    assert part is not None
    assert len(part.pictures) == len(part.record["examples"]) == 6


def test_a_second_look_reads_no_image_and_says_the_same(
    films: Project, looked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("an image was read again")

    monkeypatch.setattr(embedded, "embed", never)
    again = embed(films, by=["site"], limit=24)
    assert {row["column"] for row in again["told"]["rows"]} == {"site", "partition"}
    assert any("as --limit asked" in note for note in again["notes"])
    assert embed(films)["told"] == looked["told"]


def test_many_findings_together_make_labels_of_which_the_rare_are_shown_together() -> None:
    random = np.random.default_rng(0)
    cases, cells, partition = [], {}, {}
    for k in range(160):
        names = [f"finding {n}" for n in range(7) if random.random() < 0.5]
        cases.append(Case(f"C-{k}", f"P-{k}", f"E-{k}", (), site="North" if k % 2 else "South"))
        partition[f"C-{k}"] = "internal" if k < 20 else "tuning" if k < 60 else "training"
        if k >= 20:
            cells[f"C-{k}"] = ", ".join(names) or "none"
    assert len(set(cells.values())) > 50  # more than make groups
    columns, notes = columns_of(cases, partition, {"label": cells}, {}, ())
    label = columns[0]
    assert notes == []
    assert label.order[-2:] == ("all others", "not known")
    assert len(label.order) == 7
    assert label.rule.startswith("the 5 commonest of ")
    fixed = held_fixed(columns, with_partition=True)
    assert fixed[30] == f"{cells['C-30']}; tuning"  # whole, not put together
    open_ones = is_known(columns)
    assert (open_ones.sum(), open_ones[:20].any()) == (140, False)
    rows = told_columns(columns, random.normal(size=(160, 4)), [case.patient_id for case in cases])
    assert {row.column: row.n_cases for row in rows} == {"partition": 140, "site": 140}

    columns, notes = columns_of(cases, partition, {"label": {}}, {}, ())
    assert notes == ["Column 'label' makes no groups: it is empty."]
    rows = told_columns(columns, random.normal(size=(160, 4)), [case.patient_id for case in cases])
    assert {row.verdict for row in rows} == {"not tried"}
    assert rows[0].reason.startswith("the labels make no groups")


def test_an_unknown_column_is_refused_with_the_nearest(films: Project) -> None:
    with pytest.raises(OverreadError, match=r"There is no column 'sites' to tell cases apart by\. Did you mean 'site'\?"):
        embed(films, by=["sites"])


def test_the_command_tells_what_was_found(films: Project, looked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", str(films.path), "--run", "first"]) == 0
    out = capsys.readouterr().out
    assert "site: beyond the label. AUC" in out
    assert "by features" in out
    assert "explanation.html" in out
    assert main(["embed", str(films.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["k"] == 5


def test_the_report_and_the_page_show_them(films: Project, looked: dict[str, Any]) -> None:
    assert "Cases as the network sees them" in (films.run("first").path / "explanation.html").read_text()
    assert main(["evaluate", str(films.path), "--run", "first"]) == 0
    page = report(films, "first").read_text()
    assert "Every error" in page
    assert "5 similar" in page
    assert 'data-sift="group-1"' in page
    notes = films.run("first").path / "notes.toml"
    first = read_json(films.run("first").evaluation("tuning"))["cases"][0]["case_id"]
    notes.write_text(f'[notes]\n"{first}" = "the border is bright"\n')
    assert "the border is bright" in report(films, "first").read_text()
    notes.write_text('[notes]\n"C-9999" = "?"\n')
    with pytest.raises(OverreadError, match="a note on case C-9999, which was not evaluated"):
        report(films, "first")
    notes.unlink()


def test_the_audit_stands_beside_where_it_fits_the_cohort(films: Project, looked: dict[str, Any]) -> None:
    assert looked["told"]["audited"] == {}
    interval = looked["told"]["rows"][0]["interval"]
    rows = [
        {"target": "site", "probe": "edges", "interval": {**interval, "estimate": 0.9}},
        {"target": "site", "probe": "background", "interval": {**interval, "estimate": 0.7}},
        {"target": "site", "probe": "metadata", "interval": {**interval, "estimate": 1.0}},
        {"target": "scanner", "probe": "edges", "interval": None},
    ]
    path = films.path / "audit" / "audit.json"
    write_json(path, {"cohort": films.cohort().digest, "probes": {"rows": rows}})
    assert {name: row["probe"] for name, row in audited_areas(films).items()} == {"site": "edges"}
    write_json(path, {"cohort": "another", "probes": {"rows": rows}})
    assert audited_areas(films) == {}
    path.unlink()
    part = part_of(films.run("first"), "embedding")
    assert part is not None
    told = {**part.record["told"], "audited": {"site": rows[0]}}
    section = embedding_section(Part({**part.record, "told": told}, part.pictures))
    assert any("what a small model without a network told" in getattr(block, "text", "") for block in section.blocks)
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_a_project_of_volumes_with_masks(tmp_path: Path) -> None:
    from workflow.balls import volume_project

    project = volume_project(tmp_path)
    untrained(project, "first", architecture="unet", patch="16, 16, 16")
    result = embed(project)
    assert result["alike"].startswith("alike: the same structures")
    assert "windows that lie side by side" in result["features"]["what"]
    assert all(row["verdict"] == "not tried" for row in result["told"]["rows"])
