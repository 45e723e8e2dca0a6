"""`overread real-or-fake` on tiny projects: a blinded room, a key that stays private, scores of saved answers, refusals."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from overread.cli.main import main
from overread.core.errors import OverreadError
from overread.imaging.corner import with_corner
from overread.workflow.generation.key import keys_of
from overread.workflow.project import Project
from overread.workflow.real_or_fake import make_room, score_room
from workflow.balls import film_project, films, volume_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return film_project(tmp_path_factory.mktemp("films"), "ball", positive="large")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    random = np.random.default_rng(7)
    for k in range(9):
        Picture.fromarray(random.integers(0, 255, (32, 32)).astype(np.uint8)).save(folder / f"sampled{k:02d}.png")
    return folder


def answers(path: Path, project: Project, name: str, reader: str, right: float, seed: int = 0, most: int = 99) -> Path:
    """The file that the page saves, of a reader who is right so often."""
    key = next(key for key in keys_of(project).values() if key.name == name)
    random = np.random.default_rng(seed)
    rows = []
    for item, is_made in zip(key.items, key.is_made, strict=True):
        says = bool(is_made) == bool(random.random() < right)
        call = {"call": "fake" if says else "real", "confidence": int(random.integers(1, 5)), "changes": 0}
        rows.append({"item": item["item"], **call, "seconds": round(float(random.lognormal(1.5)), 1)})
    values = {"format": 1, "room": key.room, "reader": reader, "began": "", "ended": "", "of": len(rows), "answers": rows[:most]}
    path.write_text(json.dumps(values))
    return path


def test_the_journey_through_the_program(
    project: Project, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hidden = project.path / "hidden"
    sealed = project.path / "cohort" / "sealed" / "internal.parquet"
    sealed.rename(hidden)  # nothing here may need it
    ledger = (project.path / "cohort" / "ledger.jsonl").read_bytes()
    where = str(project.path)
    assert main(["real-or-fake", where, "--made", str(made), "--count", "16"]) == 0
    said = capsys.readouterr().out
    assert "Room first: 16 images" in said
    assert "No image of the internal test is shown." in said
    assert f"Next: overread real-or-fake {where} --answers FILE" in said
    files = [str(answers(tmp_path / f"R{k}.json", project, "first", f"R{k}", 0.8, k)) for k in (1, 2)]
    assert main(["real-or-fake", where, "--answers", *files]) == 0
    said = capsys.readouterr().out
    assert "Room first: 16 images, 8 made and 8 real. Chance is 50 %." in said
    assert "Cohen's kappa of R1 and R2" in said
    assert max(len(line) for line in said.splitlines() if "Page:" not in line) <= 130
    assert main(["real-or-fake", where, "--json", "--answers", str(tmp_path)]) == 0  # a folder of files
    result = json.loads(capsys.readouterr().out)
    assert [row["reader"] for row in result["readers"]] == ["R1", "R2"]
    assert result["pooled"]["read"] == 32
    page = (project.path / "real-or-fake" / "first" / "result.html").read_text()
    assert "Made images that gave themselves away" in page
    assert "sampled" not in page
    assert "film0" not in page
    assert (project.path / "cohort" / "ledger.jsonl").read_bytes() == ledger
    hidden.rename(sealed)


def test_the_key_is_private_and_in_no_file_that_a_reader_sees(project: Project, made: Path) -> None:
    result = make_room(project, made, "training", 16, seed=3, name="blind")
    key = next(key for key in keys_of(project).values() if key.name == "blind")
    assert sum(key.is_made) == 8
    training = {case.case_id for case in project.cohort().of("training")}
    assert {item["case_id"] for item in key.items if item["kind"] == "real"} <= training
    folder = project.path / "real-or-fake" / "blind"
    private = project.path / "cohort" / "private" / "real-or-fake"
    for name in ("blind.json", "blind.npz"):
        assert stat.S_IMODE((private / name).stat().st_mode) == 0o600
    for path in folder.iterdir():
        text = path.read_text()
        assert not any(word in text for item in key.items for word in (item["case_id"], item["name"], item["unit"]) if word)
        assert '"seed"' not in text
    assert sorted(path.name for path in folder.iterdir()) == ["room.html", "room.json"]
    assert result["images"] == 16
    again = make_room(project, made, "training", 16, seed=3, name="again")
    other = next(key for key in keys_of(project).values() if key.name == "again")
    assert other.items == key.items  # the seed fixes images and order
    assert again["room"] != result["room"]
    with pytest.raises(OverreadError, match="has a room 'blind'; a new one in its place would lose the key"):
        make_room(project, made, "training", 16, name="blind")


def test_images_of_the_internal_test_are_never_shown(project: Project, made: Path, tmp_path: Path) -> None:
    with pytest.raises(OverreadError, match="Images of the internal test are never shown"):
        make_room(project, made, "internal", 16, name="sealed")
    result = make_room(project, made, str(project.images_folder), 18, name="whole-folder")
    sealed = {reference.files[0] for case in project.cohort().of("internal") for reference in case.images}
    key = next(key for key in keys_of(project).values() if key.name == "whole-folder")
    assert not sealed & {item["name"] for item in key.items}
    assert any("are images of the internal test, pixel by pixel, and were left out" in note for note in result["notes"])
    for k, name in enumerate(sorted(sealed)):
        Picture.open(project.images_folder / name).save(tmp_path / f"copy{k}.png")
    with pytest.raises(OverreadError, match=r"All images of .* belong to the internal test"):
        make_room(project, tmp_path, count=16, name="copies")


def test_folds_have_no_open_case(tmp_path: Path, made: Path) -> None:
    folds = film_project(tmp_path, "ball", positive="large", folds=3)
    with pytest.raises(OverreadError, match="every case is an internal test in its turn"):
        make_room(folds, made, "tuning", 16)
    other = films(tmp_path / "elsewhere", edge=30)
    assert make_room(folds, made, str(other / "images"), 16)["images"] == 16


def test_volumes_and_marked_files(tmp_path: Path) -> None:
    project = volume_project(tmp_path)
    with pytest.raises(OverreadError, match="Some of these images are planar and some are volumes"):
        make_room(project, films(tmp_path / "films") / "images", "training", 8)
    result = make_room(project, tmp_path / "cohort" / "masks", "training", 8)
    assert result["shape"] == [16, 18, 20]
    marked = tmp_path / "marked"
    marked.mkdir()
    for k in range(6):
        pixels = np.random.default_rng(k).integers(0, 255, (32, 32)).astype(np.uint8)
        Picture.fromarray(with_corner(pixels, "synthetic", 0, 255)).save(marked / f"m{k}.png")
    plain = film_project(tmp_path / "of-films", "ball", positive="large")
    result = make_room(plain, marked, "training", 10)
    assert any("that corner is black in real and made images alike" in words for words in result["shown"])
    assert result["marks"].startswith("Made images carry no visible mark inside this room.")


def test_what_cannot_make_a_room_is_said(project: Project, made: Path, tmp_path: Path) -> None:
    for what, words in {
        "--count 4 is too few; 8 images are the least": {"count": 4},
        "'a/b' is no name for a room": {"name": "a/b"},
        "folder of real images .* does not exist": {"real": str(tmp_path / "none")},
    }.items():
        with pytest.raises(OverreadError, match=what):
            make_room(project, made, **{"name": "refused", **words})
    with pytest.raises(OverreadError, match="holds no image that can be read"):
        make_room(project, tmp_path, name="refused")
    assert main(["real-or-fake", str(project.path)]) == 2
    assert main(["real-or-fake", str(project.path), "--made", str(made), "--answers", str(made)]) == 2


def test_answers_are_checked(project: Project, made: Path, tmp_path: Path) -> None:
    make_room(project, made, "training", 16, name="checked")
    make_room(project, made, "training", 16, name="another")
    good = answers(tmp_path / "R1.json", project, "checked", "R1", 0.7)
    whole = json.loads(good.read_text())

    def refused(words: str, change: dict, **row: object) -> None:
        values = whole | change
        if row:
            values["answers"] = [whole["answers"][0] | row, *whole["answers"][1:]]
        path = tmp_path / "wrong.json"
        path.write_text(json.dumps(values))
        with pytest.raises(OverreadError, match=words):
            score_room(project, [path])

    refused("room 0000, whose key is not in this project", {"room": "0000"})
    refused("has format 9; 1 was expected", {"format": 9})
    refused("holds no answer", {"answers": []})
    refused("answers image 99; this room has images 1 to 16", {}, item=99)
    refused("answers image 2 twice", {}, item=2)
    refused("call 'maybe', confidence '3'; expected real or fake", {}, call="maybe", confidence=3)
    refused("expected real or fake, and 1 to 4", {}, confidence=5)
    refused("'fast' are no seconds", {}, seconds="fast")
    (tmp_path / "wrong.json").write_text("no")
    with pytest.raises(OverreadError, match=r"wrong\.json is no JSON"):
        score_room(project, [tmp_path / "wrong.json"])
    with pytest.raises(OverreadError, match="does not exist"):
        score_room(project, [tmp_path / "gone.json"])
    twin = answers(tmp_path / "twin.json", project, "checked", "R1", 0.5, 5)
    with pytest.raises(OverreadError, match="Two files hold answers of reader R1"):
        score_room(project, [good, twin])
    stranger = answers(tmp_path / "R3.json", project, "another", "R3", 0.5)
    with pytest.raises(OverreadError, match="These answers are of 2 different rooms"):
        score_room(project, [good, stranger])
    part = answers(tmp_path / "R2.json", project, "checked", "R2", 0.7, 1, most=9)
    result = score_room(project, [good, part])
    assert "Reader R2 left 7 of 16 images unread." in result["notes"]
    assert result["mean"] is None
