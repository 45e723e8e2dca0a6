"""overread networks"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import click

from overread.cli.verb import Outcome, Verb
from overread.core.errors import OverreadError

SERVES = {"image": "one answer per image (classification, regression)", "dense": "an answer per voxel (segmentation)"}


@click.command(cls=Verb, example="overread networks\noverread networks resnet18")
@click.argument("name", required=False)
def networks(name: str | None) -> Outcome:
    """List the networks that can be trained, or show one of them.

    Any name of the list goes into training.architecture. Besides these, timm:NAME, torchvision:NAME and
    monai:NAME stand for every fitting network of those packages.
    """
    from overread.networks.table import ARCHITECTURES

    rows = {key: _facts(network) for key, network in sorted(ARCHITECTURES.items())}
    if name is None:
        width = max(map(len, rows))
        lines = [f"{key:<{width}}  {facts['dimensions']:<9}  {', '.join(facts['serves'])}" for key, facts in rows.items()]
        legend = [f"{key}: {meaning}" for key, meaning in SERVES.items()]
        return Outcome("\n".join([*lines, "", *legend]), {"networks": rows}, f"overread networks {next(iter(rows))}")
    if name not in rows:
        near = get_close_matches(name, rows, 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise OverreadError(f"'{name}' is not in the table of networks.{hint}", "see the list with `overread networks`")
    lines = [name, *(f"  {key}: {', '.join(value) if isinstance(value, list) else value}" for key, value in rows[name].items())]
    return Outcome("\n".join(lines), {name: rows[name]}, f"overread train DIR --set training.architecture={name}")


def _facts(network: Any) -> dict[str, Any]:
    return {
        "dimensions": " and ".join(f"{n}D" for n in sorted(network.dimensions)),
        "serves": sorted(network.serves),
        "paper": network.paper,
        "licence": network.licence,
        "options": sorted(network.options),
    }
