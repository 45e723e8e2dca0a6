"""Images that a network made train and nothing else: every way into a tuning, test or external partition is tried, and shut."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cohort.folders import film_cohort, write_films, write_mask, write_png, write_sheet
from overread.cohort import divide as dividing
from overread.cohort.ask import Said
from overread.cohort.gather import gather
from overread.cohort.identity import read_links
from overread.cohort.index import partition_of_run, read_splits, write_splits
from overread.cohort.overlay import overlay
from overread.cohort.partition import Wish
from overread.cohort.partition import divide as divide_acquired
from overread.cohort.request import Request
from overread.cohort.store import store
from overread.cohort.subdivision import Subdivision
from overread.core.case import ImageReference
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Picture
from overread.imaging.nifti import write_nifti
from overread.imaging.pictures import SyntheticMark, write_picture
from overread.reporting.paper.facts import flow as flow_in_words
from overread.workflow import label_next as labelling
from overread.workflow import learning_curve as curves
from overread.workflow import read as reading
from overread.workflow.audit import audit
from overread.workflow.evaluate_answers import evaluate_answers
from overread.workflow.external import external
from overread.workflow.init import init
from overread.workflow.learning import selection
from overread.workflow.partitions import partition_summaries
from overread.workflow.project import Project
from overread.workflow.readings.exams import Exam
from overread.workflow.update import update

FLAT = Grid.from_spacing((1, 8, 8), (1.0, 1.0, 1.0), spacing_known=False, is_planar=True)
SEALED = "says nothing about patients"


def made_film(path: Path, seed: int, kind: str = "synthetic", *, phantom: bool = False) -> Path:
    mark = SyntheticMark(kind, "diffusion of chest", "sha256:" + "ab" * 32, "8 pixels have no room", phantom)  # type: ignore[arg-type]
    values = np.random.default_rng(seed).integers(0, 255, (1, 1, 8, 8)).astype(np.float32)
    write_picture(path, Picture(values, FLAT), mark=mark)
    return path


def cohort_with(folder: Path, made: Iterable[tuple[str, str, str]], patients: int = 20) -> tuple[Path, Path]:
    """The films of `film_cohort`, and made ones. made  (file, kind, patient or "")"""
    images, sheet = film_cohort(folder, patients)
    lines = sheet.read_text().splitlines()
    for k, (name, kind, patient) in enumerate(made):
        made_film(images / name, 9000 + k, kind)
        lines.append(f"{name},{patient},{'ill' if k % 2 else 'well'},50")
    sheet.write_text("\n".join(lines) + "\n")
    return images, sheet


def names_in(project: Project, fold: int | None = None) -> dict[str, str]:
    """File -> partition of a run."""
    of_case = {link.case_id: link.original_name for link in read_links(project.path)}
    cohort = project.cohort(fold)
    return {of_case[case.case_id]: cohort.partition[case.case_id] for case in cohort.cases}


ALONE = [(f"syn_{k}.png", "synthetic", "") for k in range(4)]


def test_made_images_train_and_change_nothing_for_the_others(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path / "plain", 20)
    plain = names_in(init(tmp_path / "a", images, sheet=sheet, positive="ill"))
    held = {part: next(name for name, p in plain.items() if p == part) for part in ("training", "tuning", "internal")}
    of_patients = [(f"of_{part}.png", "derived", f"PAT-0{name[1:3]}") for part, name in held.items()]
    images, sheet = cohort_with(tmp_path / "more", [*ALONE, *of_patients])
    project = init(tmp_path / "b", images, sheet=sheet, positive="ill")
    found = names_in(project)
    assert {name: part for name, part in found.items() if name in plain} == plain
    assert {name: part for name, part in found.items() if name not in plain} == dict.fromkeys(
        [*(name for name, _, _ in ALONE), "of_training.png"], "training"
    )
    said = str(project.summary)
    assert "25  in the split\n          -2  by a network, of a patient who does not train: of_" in said
    assert "placed; 5 by a network, training only" in said
    assert "3 changed by a network: such images train and are never scored; 2 of them are left out" in said
    assert "cannot be seen in them" in said
    origins = {case.origin for case in project.cohort().cases if case.is_made}
    assert origins == {"generated", "derived"}
    assert project.summary.facts["patients"] == 20
    assert project.summary.facts["made"] == 5
    flow = json.loads((project.path / "cohort" / "flow.json").read_text())
    assert flow[-1] == {
        "step": "placed; 5 by a network, training only",
        "kept": 25,
        "excluded": 0,
        "reasons": {},
    }
    assert flow_in_words(SimpleNamespace(flow=flow)) == (  # type: ignore[arg-type]
        "Of 27 images, 25 were included (5 by a network, training only). "
        "Excluded were 2: by a network, of a patient who does not train (2)."
    )
    training = next(s for s in partition_summaries(project.path) if s["partition"] == "training")
    assert (training["cases"], training["patients"]) == (18, 13)


def test_a_changed_image_of_nobody_knows_whom_trains_only_where_somebody_says_so(tmp_path: Path) -> None:
    images, sheet = cohort_with(tmp_path, [("of_whom.png", "derived", "")])
    project = init(tmp_path / "a", images, sheet=sheet, positive="ill")
    assert "of_whom.png" not in names_in(project)
    assert "-1  changed by a network, of a patient not named: of_whom.png" in str(project.summary)
    rows = [[f"p{k:02d}_1.png", ["train", "train", "val", "test"][k % 4]] for k in range(1, 21)]
    splits = write_sheet(tmp_path / "s.csv", ["file", "split"], [*rows, ["of_whom.png", "train"]])
    given = init(tmp_path / "b", images, sheet=sheet, positive="ill", splits=splits)
    assert names_in(given)["of_whom.png"] == "training"
    assert names_in(update(given.path))["of_whom.png"] == "training"


@pytest.mark.parametrize("place", ["test", "val", "2"])
@pytest.mark.parametrize("form", ["file", "column"])
def test_a_given_split_that_would_score_one_is_refused_by_name(tmp_path: Path, place: str, form: str) -> None:
    images, sheet = cohort_with(tmp_path, ALONE[:1])
    words = {"test": ["train", "val", "test"], "val": ["train", "val", "test"], "2": ["0", "1", "2"]}[place]
    lines = sheet.read_text().splitlines()
    cells = [place if line.startswith("syn") else words[k % 3] for k, line in enumerate(lines[1:])]
    if form == "column":
        sheet.write_text(
            "\n".join([lines[0] + ",part", *(f"{line},{cell}" for line, cell in zip(lines[1:], cells, strict=True))])
        )
        splits: str | Path = "part"
    else:
        splits = write_sheet(
            tmp_path / "s.csv",
            ["file", "split" if place != "2" else "fold"],
            [[line.split(",")[0], c] for line, c in zip(lines[1:], cells, strict=True)],
        )
    called = {"test": "the internal test", "val": "tuning", "2": "fold 2"}[place]
    with pytest.raises(Refused, match=rf"puts syn_0\.png into {called}, but a network made or changed it") as fault:
        init(tmp_path / "p", images, sheet=sheet, positive="ill", splits=splits)
    assert "take it out of the split, or name it as training" in fault.value.next
    assert not (tmp_path / "p").exists()


def test_folders_that_came_with_a_split_are_no_way_in(tmp_path: Path) -> None:
    for k in range(12):
        part = ("train", "train", "test")[k % 3]
        write_png(tmp_path / "images" / part / ("ill" if k % 2 else "well") / f"f{k}.png", k)
    made_film(tmp_path / "images" / "test" / "ill" / "made.png", 900)
    with pytest.raises(Refused, match=r"as distributed\) puts .*made\.png into the internal test"):
        init(tmp_path / "p", tmp_path / "images", positive="ill")
    asked = Request(tmp_path / "images", said=Said(positive="ill"))
    found = audit(tmp_path / "images", out=tmp_path / "audit", request=asked)
    assert ("Made by a network", "1, 1 of them OUTSIDE TRAINING") in found.counts
    (tmp_path / "images" / "test" / "ill" / "made.png").rename(tmp_path / "images" / "train" / "ill" / "made.png")
    project = init(tmp_path / "p", tmp_path / "images", positive="ill")
    assert [c.is_made for c in project.cohort().of("training")].count(True) == 1
    assert not any(c.is_made for part in ("tuning", "internal") for c in project.cohort().of(part))


def test_in_folds_one_trains_everywhere_but_where_its_patient_is_held_out(tmp_path: Path) -> None:
    images, sheet = cohort_with(tmp_path, [*ALONE, ("of_p01.png", "derived", "PAT-001")])
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill", folds=4)
    alone = {name for name, _, _ in ALONE}
    homes = []
    for fold in range(4):
        found = names_in(project, fold)
        assert {found[name] for name in alone} == {"training"}
        assert all(case.truth is not None for case in project.cohort(fold).of("training"))
        homes.append(found["p01_1.png"])
        assert found.get("of_p01.png") == ("training" if homes[-1] == "training" else None)
    assert homes.count("internal") == 1
    splits = read_splits(project.path)
    assert not set(splits["training_only"]) & set(splits["fold"])
    assert [s["partition"] for s in partition_summaries(project.path)] == ["training", "fold 0", "fold 1", "fold 2", "fold 3"]
    assert "training" in str(project.summary)
    trained = sum(0 in runs for runs in splits["training_only"].values())
    assert ("Made by a network", f"{trained}, for training alone") in audit(project.path).counts


@pytest.mark.parametrize("options", [{"split_by": "site"}, {"split_after": "2020-01-11"}], ids=["site", "date"])
def test_sites_and_dates_do_not_put_one_into_a_test(tmp_path: Path, options: dict[str, str]) -> None:
    images, sheet = film_cohort(tmp_path, 16)
    rows = [
        f"p{k + 1:02d}_1.png,PAT-{k + 1:03d},{'well' if k % 2 else 'ill'},{'AB'[k % 4 < 2]},2020-01-{k + 1:02d}"
        for k in range(16)
    ]
    rows += ["syn_0.png,,ill,A,2020-01-15", "syn_1.png,,well,C,"]
    sheet.write_text("\n".join(["file,patient,label,site,date", *rows]) + "\n")
    for k in range(2):
        made_film(images / f"syn_{k}.png", 900 + k)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill", site="site", date="date", **options)
    for fold in project.folds or [None]:
        found = names_in(project, fold)
        assert {found["syn_0.png"], found["syn_1.png"]} == {"training"}


def test_one_takes_no_patients_place_as_the_exam_that_counts(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path, 12)
    rows = [f"p{k:02d}_1.png,PAT-{k:03d},{'ill' if k % 2 else 'well'},2020-02-{k:02d}" for k in range(1, 13)]
    rows += [f"of_{k}.png,PAT-{k:03d},ill,2020-01-01" for k in range(1, 13)]
    sheet.write_text("\n".join(["file,patient,label,date", *rows]) + "\n")
    for k in range(1, 13):
        made_film(images / f"of_{k}.png", 900 + k, "derived")
    given = {"sheet": sheet, "positive": "ill", "date": "date"}
    for name, options in {"a": {"index_exam": "first"}, "b": {"unit": "patient"}}.items():
        found = names_in(init(tmp_path / name, images, **given, **options))
        assert sum(file.startswith("p") for file in found) == 12
        training = {file[1:3].lstrip("0") for file, place in found.items() if file.startswith("p") and place == "training"}
        assert {file[3:-4] for file in found if file.startswith("of_")} == training


def test_a_cohort_of_made_images_alone_is_none(tmp_path: Path) -> None:
    for k in range(6):
        made_film(tmp_path / "images" / ("ill" if k % 2 else "well") / f"{k}.png", k)
    with pytest.raises(Refused, match=r"Every image is one of a network \(6 made by a network\)"):
        init(tmp_path / "p", tmp_path / "images", positive="ill")


def test_a_phantom_stays_one_beside_what_a_network_made_of_it(tmp_path: Path) -> None:
    for k in range(12):
        write_png(tmp_path / "images" / ("ill" if k % 2 else "well") / f"{k}.png", k, phantom=True)
    made_film(tmp_path / "images" / "ill" / "made.png", 99, phantom=True)
    project = init(tmp_path / "p", tmp_path / "images", positive="ill")
    assert project.cohort().is_phantom
    assert project.summary.facts["is_phantom"] is True
    assert [c.case_id for c in project.cohort().of("training") if c.is_made]
    made_film(tmp_path / "images" / "ill" / "made.png", 99)
    with pytest.raises(Refused, match="A phantom cannot be mixed with patients"):
        init(tmp_path / "q", tmp_path / "images", positive="ill")


@pytest.mark.parametrize("folds", [None, 3])
def test_an_update_puts_new_ones_into_training_and_refuses_a_turned_test(tmp_path: Path, folds: int | None) -> None:
    images, sheet = cohort_with(tmp_path, ALONE[:1])
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill", folds=folds)
    before = names_in(project, None if folds is None else 0)
    made_film(images / "syn_9.png", 77)
    made_film(images / "syn_8.png", 78, "derived")
    sheet.write_text(sheet.read_text() + "syn_9.png,,ill,50\nsyn_8.png,PAT-001,ill,50\n")
    updated = update(project.path)
    for fold in [None] if folds is None else range(folds):
        found = names_in(updated, fold)
        assert found["syn_0.png"] == found["syn_9.png"] == "training"
        assert found.get("syn_8.png") == ("training" if found["p01_1.png"] == "training" else None)
        assert fold not in (None, 0) or {n: p for n, p in found.items() if n in before} == before
    for part in ("internal", "tuning") if folds is None else ("internal",):
        name = next(name for name, place in before.items() if place == part)
        kept = (images / name).read_bytes()
        made_film(images / name, 5, "derived")
        where = {"internal": "the internal test|internal test|fold 0", "tuning": "tuning"}[part]
        with pytest.raises(Refused, match=rf"1 changed by a network would be in ({where}), where that case was: {name}") as fault:
            update(project.path)
        assert fault.value.next == "put the patient's own image back"
        (images / name).write_bytes(kept)
    assert names_in(update(project.path), None if folds is None else 0) == names_in(updated, None if folds is None else 0)


def test_a_training_case_of_folds_that_becomes_a_patients_image_gets_a_fold(tmp_path: Path) -> None:
    images, sheet = cohort_with(tmp_path, ALONE[:1])
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill", folds=3)
    write_png(images / "syn_0.png", 4242)
    splits = read_splits(update(project.path).path)
    assert "training_only" not in splits
    assert len(splits["fold"]) == 21


def test_no_external_cohort_takes_one(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path / "home")
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill")
    write_films(tmp_path / "away", ["a.png"])
    write_png(tmp_path / "away" / "b.png", 7000)
    made_film(tmp_path / "away" / "made.png", 901)
    elsewhere = write_sheet(tmp_path / "away.csv", ["file", "label"], [["a.png", "ill"], ["b.png", "well"], ["made.png", "ill"]])
    with pytest.raises(Refused, match=rf"1 made by a network would be in an external cohort.*: made\.png\. .*{SEALED}"):
        external(project, "away", tmp_path / "away", sheet=elsewhere)
    assert not (project.path / "external" / "away").exists()
    write_png(tmp_path / "away" / "made.png", 8000)
    taken = external(project, "away", tmp_path / "away", sheet=elsewhere)
    made_film(tmp_path / "away" / "made.png", 901)
    with pytest.raises(Refused, match="external cohort"):
        update(taken.path)


def test_the_gate_before_writing_holds_whatever_divided_the_cohort(tmp_path: Path) -> None:
    images, sheet = cohort_with(tmp_path, ALONE)
    gathered = gather(Request(images, sheet=sheet, said=Said(positive="ill")))
    drawn = (divide_acquired(gathered, None, Wish(seed=seed)) for seed in range(50))
    made = [k for k, seen in enumerate(gathered.seen) if seen.made]
    careless = next(division for division in drawn if any(division.place[k] == "internal" for k in made))
    with pytest.raises(Refused, match="would be in"):
        store(tmp_path / "p", gathered, careless, 0)
    assert not (tmp_path / "p").exists()
    careful = dividing.divide(gathered, None, Wish())
    dividing.refuse_placed(gathered, careful)


@pytest.mark.parametrize("part", ["tuning", "internal"])
def test_a_split_that_was_written_by_hand_is_refused_when_it_is_read(tmp_path: Path, part: str) -> None:
    images, sheet = cohort_with(tmp_path, ALONE)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill")
    case = next(c for c in project.cohort().cases if c.is_made)
    splits = read_splits(project.path)
    splits["partition"][case.case_id] = part
    write_splits(project.path, splits)
    with pytest.raises(Refused, match=f"would be scored as {part} cases, {case.case_id}"):
        project.cohort()


def test_no_part_of_a_larger_training_scores_one(tmp_path: Path) -> None:
    images, sheet = cohort_with(tmp_path, ALONE)
    cohort = init(tmp_path / "p", images, sheet=sheet, positive="ill").cohort()
    made = {c.case_id for c in cohort.cases if c.is_made}
    training = {c.case_id for c in cohort.of("training")} - made
    assert Subdivision(frozenset(made), frozenset(training), "a trial").of(cohort)
    with pytest.raises(Refused, match="4 images that a network made or changed would be scored as tuning cases"):
        Subdivision(frozenset(training), frozenset(made), "a trial").of(cohort)


def test_a_selection_trains_on_them_and_holds_out_patients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, sheet = cohort_with(tmp_path, [*ALONE, *((f"of_{k}.png", "derived", f"PAT-{k:03d}") for k in range(1, 21))])
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill")
    cohort = project.cohort()
    parts: list[Subdivision] = []
    monkeypatch.setattr(selection, "train_part", lambda *given: parts.append(given[3]) or {})
    order = {"candidates": [{}], "overrides": {}, "inner": 2, "seed": 0, "endpoint": "auc", "cohort": cohort.digest}
    chosen = selection.Selection(project, "selected", None, None, order, None, lambda line: None)  # type: ignore[arg-type]
    chosen._tried(0, *chosen.divided())
    made = {c.case_id: c.patient_id for c in cohort.cases if c.is_made}
    patient = {c.case_id: c.patient_id for c in cohort.cases}
    assert len(parts) == 2
    for part in parts:
        assert part.of(cohort)
        assert not part.tuning & set(made)
        held = {patient[c] for c in part.tuning}
        assert {c for c in made if made[c] not in held} == part.training & set(made)
        assert len(part.training & set(made)) >= 4
    assert any(set(made) - part.training for part in parts)


def test_a_learning_curve_counts_patients_alone(tmp_path: Path) -> None:
    images, sheet = cohort_with(tmp_path, ALONE)
    cohort = init(tmp_path / "p", images, sheet=sheet, positive="ill").cohort()
    kept, told = curves.without_made(cohort)
    assert not any(c.is_made for c in kept.cases)
    assert set(kept.partition) == {c.case_id for c in kept.cases}
    assert told == " 4 images that a network made are left out: shares are shares of patients."
    assert curves.without_made(kept) == (kept, "")


def test_none_is_proposed_for_labelling(tmp_path: Path) -> None:
    made_film(tmp_path / "made.png", 3)
    exam = Exam("made", tmp_path, (ImageReference("image", "raster", ("made.png",)),))
    ((_, open_it),) = labelling._openers(None, None, [exam], frozenset(), {})  # type: ignore[arg-type]
    with pytest.raises(OverreadError, match="a network made or changed it"):
        open_it()


def test_truths_of_anybody_that_carry_the_mark_are_no_truths(tmp_path: Path) -> None:
    grid = Grid.from_spacing((4, 6, 6), (2.0, 1.0, 1.0))
    for folder in ("truth", "answers"):
        for k in range(3):
            write_mask(tmp_path / folder / f"case{k}.nii.gz")
    array = np.zeros(grid.shape, np.uint8)
    array[1, 2:4, 2:4] = 1
    evaluate_answers(tmp_path / "truth", tmp_path / "answers", "segmentation", resamples=50)
    write_nifti(tmp_path / "truth" / "case1.nii.gz", array, grid, description="Overread answer, for research, on SYNTHETIC IMAGE")
    with pytest.raises(
        Refused, match=rf"1 of 3 truths in .* say that a network made or changed them .*, case1\.nii\.gz .*{SEALED}"
    ):
        evaluate_answers(tmp_path / "truth", tmp_path / "answers", "segmentation", resamples=50)


def test_one_made_channel_makes_a_made_case() -> None:
    one = Image(np.zeros((1, 1, 8, 8), np.float32), FLAT, source={"format": "raster", "is_simulated": False})
    other = replace(one, source={**one.source, "made": "derived"})
    third = replace(one, source={**one.source, "made": "synthetic"})
    assert "made" not in overlay("case", [("t1", one), ("flair", one)]).source
    assert overlay("case", [("t1", one), ("flair", other)]).source["made"] == "derived"
    assert overlay("case", [("t1", one), ("flair", other), ("t2", third)]).source["made"] == "synthetic"


def test_an_answer_on_a_made_image_is_said_to_be_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image(np.eye(8, dtype=np.float32)[None, None], FLAT, source={"made": "synthetic"})
    monkeypatch.setattr(reading, "variables_of", lambda card: ())
    card = SimpleNamespace(is_phantom=False, reading={}, state="frozen")
    said = reading._warnings(card, image, SimpleNamespace(region=None, array=image.array))  # type: ignore[arg-type]
    assert said[0] == "the image was made by a network; the answer on it says nothing about a patient"


def test_a_run_of_folds_reads_the_truth_of_made_cases_and_of_no_held_out_one(tmp_path: Path) -> None:
    images, sheet = cohort_with(tmp_path, ALONE)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill", folds=3)
    splits = read_splits(project.path)
    for fold in range(3):
        place = partition_of_run(splits, fold)
        assert all(place[c] == "training" for c in splits["training_only"])
        cohort = project.cohort(fold)
        assert all(c.truth is None for c in cohort.of("internal"))
        assert all(c.truth is not None for c in cohort.of("training"))
