"""`overread networks`: which networks and blocks there are, what one is made of and costs, and several side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from overread.core.errors import OverreadError
from overread.explanation.asked import single
from overread.networks.blocks.block import Block
from overread.networks.blocks.table import BLOCKS
from overread.networks.table import ARCHITECTURES
from overread.record.files import write_text
from overread.reporting.diagrams.network import network_diagram, several_diagrams
from overread.reporting.diagrams.page import comparison_page, line_below, network_page
from overread.workflow.explanations.subject import called, is_project, model_at
from overread.workflow.frozen import model_of, run_of
from overread.workflow.networks_shown.asked import Asked, Built, built
from overread.workflow.networks_shown.facts import FORMAT, facts_of, training_memory
from overread.workflow.networks_shown.speed import REPEATS, measured
from overread.workflow.project import Project

SUFFIXES = (".svg", ".html")


def list_networks(serves: str | None = None, dimensions: int | None = None) -> dict[str, Any]:
    """The rows of the table; those that answer with this, for images of so many dimensions."""
    rows = [
        {
            "name": name,
            "dimensions": sorted(row.dimensions),
            "serves": sorted(row.serves),
            "paper": row.paper,
            "licence": row.licence,
            "options": sorted(row.options),
        }
        for name, row in ARCHITECTURES.items()
        if (serves is None or serves in row.serves) and (dimensions is None or dimensions in row.dimensions)
    ]
    if not rows:
        raise OverreadError(f"No network answers with {serves} in {dimensions}D.", "see all with `overread networks list`")
    return {"networks": rows}


def list_blocks(name: str | None = None) -> dict[str, Any]:
    """The blocks that a composed network is written with; one of them alone by its name."""
    if name is not None and name not in BLOCKS:
        near = get_close_matches(name, BLOCKS, 2, 0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise OverreadError(f"There is no block '{name}'.{hint}", "see all with `overread networks blocks`")
    return {"blocks": [_block(key, block) for key, block in BLOCKS.items() if name in (None, key)]}


def _block(name: str, block: Block) -> dict[str, Any]:
    return {
        "name": name,
        "title": block.title,
        "dimensions": sorted(block.dimensions),
        "value": "" if block.first is None else block.first.name,
        "options": dict(block.options),
        "paper": block.paper,
        "purpose": block.purpose,
    }


def show_network(asked: Asked, out: Path | None = None) -> dict[str, Any]:
    """One network by name: its layers, blocks, costs and options; nothing is computed, only shapes.

    out  .svg for the drawing alone, .html for a page with the tables
    """
    refuse_other_suffix(out)
    return _written(facts_of(built(asked)), out)


def show_trained(place: Path, run_name: str | None = None, fold: int | None = None, out: Path | None = None) -> dict[str, Any]:
    """The network of a project's run, or of a model file, as it was trained; of an ensemble the first member."""
    refuse_other_suffix(out)
    if is_project(place):
        project = Project.open(place)
        run = run_of(project, run_name, fold)
        model, name = model_of(project, run), f"{project.name}, run {project.run(run_name).name}"
    else:
        model, name = model_at(place), called(place)
    members = single(model.predictor)
    card = model.card.members[0].card if model.card.members else model.card
    facts = facts_of(trained(card.network, members[0][0]))
    facts["trained"] = {"name": name, "members": len(members)}
    return _written(facts, out)


def trained(network: Any, predictor: Any) -> Built:
    """A network as a model holds it, for images as its preparation makes them.

    network    its row in the model's card
    predictor  that reads with it
    """
    preparation = predictor.preparation
    size = preparation.patch[3 - preparation.dimensions :]
    row = ARCHITECTURES.get(network["name"])
    paper, licence = (row.paper, row.licence) if row else ("as its library says", "that of its library")
    values = getattr(predictor.network, "values", 0)  # clinical numbers that come as further channels
    channels = len(preparation.channels) + (values if isinstance(values, int) else 0)
    return Built(
        predictor.network.cpu(),
        network["name"],
        network["serves"],
        (channels, *size),
        network["out_channels"],
        network["options"],
        row.options if row else {},
        paper,
        licence,
    )


def compare_networks(
    asked: Sequence[Asked],
    *,
    batch: int = 2,
    repeats: int = REPEATS,
    out: Path | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Several networks for one and the same image: what each costs, reads, and takes on this machine.

    batch    images of a training step, for its memory
    repeats  timings, of which the median counts; 0 measures nothing
    """
    refuse_other_suffix(out)
    if len(asked) < 2:
        raise OverreadError("There is one network to compare only.", "name two or more: `overread networks compare unet vnet`")
    if batch < 1 or repeats < 0:
        raise OverreadError("--batch is 1 or more, --repeats 0 or more.", "give whole numbers")
    names = _told_apart(asked)
    settled = [_common(one, asked) for one in asked]
    found = []
    for name, one in zip(names, settled, strict=True):
        tell(f"looking at {name}")
        made = built(one)
        facts = {**facts_of(made), "name": name, "memory": training_memory(made, batch)}
        if repeats and facts["memory"]["fits"]:
            tell(f"timing {name}")
            facts["speed"] = measured(built(one, has_values=True).network, made.shape, repeats=repeats)
        found.append(facts)
    result = {"format": FORMAT, "input": found[0]["input"], "networks": found}
    if out is not None:
        drawn = [(facts["structure"], facts["name"], line_below(facts)) for facts in found]
        write_text(out, comparison_page(result) if out.suffix == ".html" else several_diagrams(drawn))
        result["written"] = str(out)
    return result


def _common(one: Asked, every: Sequence[Asked]) -> Asked:
    """All read the same image: where no dimensions are named, those that every one of them takes, 2 before 3."""
    if one.size is not None or one.dimensions is not None:
        return one
    known = [ARCHITECTURES[each.name].dimensions for each in every if each.name in ARCHITECTURES]
    shared = frozenset({2, 3}).intersection(*known)
    if not shared:
        raise OverreadError("These networks read images of different dimensions.", "compare 2D with 2D, or 3D with 3D")
    return replace(one, dimensions=min(shared))


def _told_apart(asked: Sequence[Asked]) -> list[str]:
    names = [one.name for one in asked]
    return [f"{name} ({k + 1})" if names.count(name) > 1 else name for k, name in enumerate(names)]


def refuse_other_suffix(out: Path | None) -> None:
    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise OverreadError(f"--out {out.name}: a drawing is an .svg file, a page an .html file.", "give one of these endings")


def _written(facts: dict[str, Any], out: Path | None) -> dict[str, Any]:
    if out is not None:
        svg = network_diagram(facts["structure"], facts["name"], line_below(facts))
        write_text(out, svg if out.suffix.lower() == ".svg" else network_page(facts, svg))
        facts["written"] = str(out)
    return facts
