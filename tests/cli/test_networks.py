"""`overread networks`: list, show, compare and blocks, and what it refuses."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from overread.cli.main import main
from overread.workflow.networks import show_network
from overread.workflow.networks_shown.asked import Asked

SMALL = ["--size", "32,32"]


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["networks", *words])
    out = capsys.readouterr()
    return code, out.out + out.err


def test_the_list_and_its_filters(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys)[1] == said(capsys, "list")[1]
    code, text = said(capsys, "list", "--serves", "objects", "--dimensions", "3", "--json")
    assert code == 0
    assert [row["name"] for row in json.loads(text)["networks"]] == ["centre_detector"]


def test_a_name_alone_is_shown_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "resnet10", *SMALL, "--set", "width=4")
    assert code == 0
    assert text == said(capsys, "show", "resnet10", *SMALL, "--set", "training.network.width=4")[1]
    assert "width       4         64" in text
    assert "Next: overread train DIR --set training.architecture=resnet10 --set training.network.width=4\n" in text
    assert "BatchNorm2d" in text


def test_a_drawing_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, word in (("a.svg", "3×3 convolution"), ("a.html", "Options")):
        code, text = said(capsys, "show", "resnet10", *SMALL, "--set", "width=4", "--out", str(tmp_path / name))
        assert code == 0
        assert f"Written: {tmp_path / name}" in text
        assert word in (tmp_path / name).read_text(encoding="utf-8")
    code, text = said(capsys, "show", "resnet10", "--out", str(tmp_path / "a.png"))
    assert (code, list(tmp_path.glob("*.png"))) == (2, [])
    assert "a drawing is an .svg file, a page an .html file" in text


def test_several_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["resnet10", "lenet", *SMALL, "--batch", "4", "--repeats", "1"]
    code, text = said(capsys, "compare", *words, "--out", str(tmp_path / "c.html"), "--json")
    assert code == 0
    found = json.loads(text)["networks"]
    assert [one["name"] for one in found] == ["resnet10", "lenet"]
    for one in found:
        assert one["memory"]["batch"] == 4
        assert one["memory"]["fits"] is True
        assert one["speed"]["forward"] > 0
        assert one["speed"]["step"] > 0
    assert (tmp_path / "c.html").read_text(encoding="utf-8").count("<svg") == 3, "one in which two lie"


def test_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "blocks")
    assert code == 0
    assert "residual" in text
    assert "paper: He 2016" in said(capsys, "blocks", "residual")[1]
    assert "Did you mean residual?" in said(capsys, "blocks", "residuals")[1]


def next_of(text: str) -> list[str]:
    """The words of the command that is to be run next, as a shell takes them."""
    program, *words = shlex.split(text.rpartition("\nNext: ")[2])
    assert program == "overread"
    return words


def test_the_next_step_keeps_what_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = "blocks=['conv 4', 'max_pool 2', 'global_average']"
    code, text = said(capsys, "show", "composed", *SMALL, "--serves", "image", "--set", blocks)
    assert (code, "'\"'\"'" in text) == (0, True), "quotes of the list are quoted"
    assert next_of(text) == ["train", "DIR", "--set", "training.architecture=composed", "--set", f"training.network.{blocks}"]


def test_a_trained_network_is_looked_into_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = {**show_network(Asked("resnet10", size=(32, 32))), "trained": {"name": "lung", "members": 1}}
    monkeypatch.setattr("overread.workflow.networks.show_trained", lambda *_: shown)
    project, model = tmp_path / "my lung", tmp_path / "lung.overread"
    project.mkdir()
    (project / "project.toml").touch()
    model.touch()
    assert next_of(said(capsys, "show", str(project))[1]) == ["inside", str(project)]
    of_a_run = ["--run", "first", "--fold", "1"]
    assert next_of(said(capsys, "show", str(project), *of_a_run)[1]) == ["inside", str(project), *of_a_run]
    assert next_of(said(capsys, "show", str(model))[1]) == ["inside", str(model), "--out", "inside"]


def test_comparing_and_looking_at_blocks_go_on_with_a_command_that_works(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["resnet10", "plain18", *SMALL, "--repeats", "0", "--classes", "3", "--set", "width=4"]
    follow = next_of(said(capsys, "compare", *words)[1])
    sets = ["--set", "training.network.width=4"]
    assert follow == ["networks", "show", "resnet10", *SMALL, "--classes", "3", *sets]
    assert said(capsys, *follow[1:])[0] == 0
    assert next_of(said(capsys, "blocks")[1]) == ["networks", "blocks", "residual"]
    code, text = said(capsys, *next_of(said(capsys, "blocks", "conv")[1])[1:])
    assert (code, "composed, 2D" in text) == (0, True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["show", "unett"], "unett"),
        (["show", "unet", "--size", "a,b"], "--size a,b: expected whole numbers"),
        (["show", "unet", "--size", "32"], "--size 32 is no size of an image"),
        (["show", "unet", "--size", "32,32", "--dimensions", "3"], "do not fit each other"),
        (["show", "unet", "--serves", "image"], "does not answer per image"),
        (["show", "unet", "--channels", "0"], "one channel or more"),
        (["show", "unet", "--set", "widht=3"], "widht"),
        (["show", "unet", "--set", "strides=[[1,1],[2,2],[2,2]]", "--size", "33,32"], "multiple of"),
        (["show", "unet", "--run", "first"], "go with a project"),
        (["show", "unet", "vnet"], "takes one name, and got 2"),
        (["list", "--size", "32,32"], "--size does not go with `networks list`"),
        (["compare", "unet"], "takes 2 to 20 names, and got 1"),
        (["compare", "unet", "lenet", "--batch", "0"], "--batch is 1 or more"),
        (["compare", "slices_lstm", "inception_v3"], "images of different dimensions"),
        (["show", "nowhere:unet"], "no library of networks is called 'nowhere'"),
    ],
)
def test_what_can_be_put_right_is_said(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, *words)
    assert code == 2
    assert why in text
    assert "Next" in text
