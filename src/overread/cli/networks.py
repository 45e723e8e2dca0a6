"""overread networks"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from overread.cli.networks_words import blocks_text, comparison_text, list_text, network_text
from overread.cli.verb import Outcome, Verb, command, fold_option, pairs
from overread.core.errors import OverreadError

if TYPE_CHECKING:
    from overread.workflow.networks_shown.asked import Asked

EXAMPLE = """\
overread networks list --serves dense --dimensions 3
overread networks show resnet18 --size 224,224 --set width=32 --out resnet18.svg
overread networks show liver --run first --out network.html
overread networks compare unet unet_plus_plus --size 128,128 --out side-by-side.html
overread networks blocks residual"""

OF_NETWORK = "training.network."  # before an option of the network, in a project
OF_A_NETWORK = ("dimensions", "serves", "size", "channels", "classes", "options", "out")
SERVES = ["image", "dense", "objects", "centres", "pictures", "made"]
TAKES = {  # which options go with which word
    "list": ("serves", "dimensions"),
    "show": (*OF_A_NETWORK, "run_name", "fold"),
    "compare": (*OF_A_NETWORK, "batch", "repeats"),
    "blocks": (),
}
SECTIONS = {
    "Which network, for which image": ("serves", "dimensions", "size", "channels", "classes", "options"),
    "show": ("out", "run_name", "fold"),
    "compare": ("batch", "repeats"),
}


def _size(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(word) for word in text.lower().replace("x", ",").split(","))
    except ValueError:
        raise OverreadError(f"--size {text}: expected whole numbers.", "give Y,X or Z,Y,X in voxels, such as 128,128") from None


@click.command(cls=Verb, example=EXAMPLE, sections=SECTIONS)
@click.argument("words", metavar="[list | show NAME|DIR|MODEL | compare A B ... | blocks [NAME]]", nargs=-1)
@click.option("--serves", type=click.Choice(SERVES), help="What it answers with.")
@click.option("--dimensions", type=click.IntRange(2, 3), help="Of the images.")
@click.option("--size", metavar="Y,X | Z,Y,X", callback=_size, help="Of the image, in voxels; 128,128 or 64,64,64 otherwise.")
@click.option("--channels", type=int, help="Of the image; 1 otherwise.")
@click.option("--classes", type=int, help="That it answers with, 2 otherwise; that images can be made of, none otherwise.")
@click.option(
    "--set", "options", metavar="KEY=VALUE", multiple=True, callback=pairs,
    help="Option of the network, as in [training.network]. May be repeated.",
)  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The drawing as .svg, or a page as .html.")
@click.option("--run", "run_name", metavar="NAME", help="With a project: the run whose network is shown; otherwise the newest.")
@fold_option("With a project of folds: the fold whose network is shown.")
@click.option("--batch", type=int, help="Images of the training step whose memory is told; 2 otherwise.")
@click.option("--repeats", type=int, help="Timings, of which the median counts; 5 otherwise, 0 for none.")
def networks(words: tuple[str, ...], **given: Any) -> Outcome:
    """List the networks that can be trained, show what one is made of and costs, compare several.

    Show gives layers, cost and a drawing, of a name, of the network of a project's run (DIR) or of a model file. Any name of
    the list goes into training.architecture; besides these, timm:NAME, torchvision:NAME and monai:NAME stand for every
    fitting network of those packages. Without a word, all are listed; a name alone is shown. Blocks are what a composed
    network is written with.
    """
    word, rest = (words[0], words[1:]) if words and words[0] in TAKES else ("show" if words else "list", words)
    asked = {key: value for key, value in given.items() if value not in (None, {}, ())}
    _refuse_strangers(word, asked)
    return {"list": _list, "show": _show, "compare": _compare, "blocks": _blocks}[word](rest, asked)


def _list(names: tuple[str, ...], asked: Mapping[str, Any]) -> Outcome:
    from overread.workflow.networks import list_networks  # loads torch: not for --help

    _refuse_count("list", names, 0, 0)
    result = list_networks(asked.get("serves"), asked.get("dimensions"))
    return Outcome(list_text(result), result, command("networks", "show", result["networks"][0]["name"]))


def _show(names: tuple[str, ...], asked: Mapping[str, Any]) -> Outcome:
    from overread.workflow.networks import show_network, show_trained

    _refuse_count("show", names, 1, 1)
    place, of_a_run = Path(names[0]), {key: asked.get(key) for key in ("run_name", "fold")}
    if place.exists():
        strange = [key for key in OF_A_NETWORK[:-1] if key in asked]
        if strange:
            raise OverreadError(
                f"{place} was trained; its image and its options are settled.",
                f"leave --{_said(strange[0])} out",
            )
        result = show_trained(place, of_a_run["run_name"], of_a_run["fold"], asked.get("out"))
        return Outcome(network_text(result), result, _look_inside(place, of_a_run))
    if any(value is not None for value in of_a_run.values()):
        raise OverreadError(f"--run and --fold go with a project, and there is no folder {place}.", "give the project's folder")
    result = show_network(_asked(names[0], asked), asked.get("out"))
    follow = command("train", "DIR", "--set", f"training.architecture={names[0]}", *_sets(asked))
    return Outcome(network_text(result), result, follow)


def _look_inside(place: Path, of_a_run: Mapping[str, Any]) -> str:
    """The network of a run was trained: what it has learned can be seen; with a model file the page needs a folder."""
    from overread.workflow.explanations.subject import is_project

    if not is_project(place):
        return command("inside", place, "--out", "inside")
    named = [word for key, value in of_a_run.items() if value is not None for word in (f"--{_said(key)}", value)]
    return command("inside", place, *named)


def _compare(names: tuple[str, ...], asked: Mapping[str, Any]) -> Outcome:
    from overread.workflow.networks import compare_networks

    _refuse_count("compare", names, 2, 20)
    settings = {key: asked[key] for key in ("batch", "repeats", "out") if key in asked}
    result = compare_networks([_asked(name, asked) for name in names], **settings, tell=_tell)
    size = ",".join(str(edge) for edge in result["input"][1:])
    same = [word for key in ("serves", "channels", "classes") if key in asked for word in (f"--{key}", asked[key])]
    follow = command("networks", "show", names[0], "--size", size, *same, *_sets(asked))
    return Outcome(comparison_text(result), result, follow)


def _blocks(names: tuple[str, ...], asked: Mapping[str, Any]) -> Outcome:
    from overread.networks.composed.rows import EXAMPLES
    from overread.workflow.networks import list_blocks

    _refuse_count("blocks", names, 0, 1)
    result = list_blocks(names[0] if names else None)
    follow = command("networks", "blocks", "residual")
    if names:  # a list to change, which works as it is
        blocks = f"blocks={list(EXAMPLES['image'])}"
        follow = command("networks", "show", "composed", "--serves", "image", "--set", blocks)
    return Outcome(blocks_text(result, is_one=bool(names)), result, follow)


def _asked(name: str, asked: Mapping[str, Any]) -> Asked:
    from overread.workflow.networks_shown.asked import Asked
    from overread.workflow.plan import value_of

    options = {key.removeprefix(OF_NETWORK): value_of(text) for key, text in asked.get("options", {}).items()}
    known = {key: asked[key] for key in ("dimensions", "serves", "size", "channels", "classes") if key in asked}
    return Asked(name, options=options, **known)


def _sets(asked: Mapping[str, Any]) -> list[str]:
    """The options of the network as a project takes them, and this verb too."""
    named = {key.removeprefix(OF_NETWORK): text for key, text in asked.get("options", {}).items()}
    return [word for key, text in named.items() for word in ("--set", f"{OF_NETWORK}{key}={text}")]


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        click.echo(line, err=True)


def _said(key: str) -> str:
    return {"options": "set", "run_name": "run"}.get(key, key)


def _refuse_strangers(word: str, asked: Mapping[str, Any]) -> None:
    """An option that would do nothing."""
    for key in asked:
        if key not in TAKES[word]:
            others = [other for other, known in TAKES.items() if key in known]
            raise OverreadError(f"--{_said(key)} does not go with `networks {word}`.", f"use it with {' or '.join(others)}")


def _refuse_count(word: str, names: tuple[str, ...], least: int, most: int) -> None:
    if not least <= len(names) <= most:
        wanted = "no name" if most == 0 else "one name" if least == most == 1 else f"{least} to {most} names"
        raise OverreadError(f"`overread networks {word}` takes {wanted}, and got {len(names)}.", "see `overread networks --help`")
