"""The pages of networks: one with its drawing and tables, or several side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from overread.reporting.diagrams.network import several_diagrams
from overread.reporting.diagrams.sheet import sheet
from overread.reporting.diagrams.words import count, edges, memory, reads, seconds
from overread.reporting.page_parts import Block, Chart, Section, Table, Words

Facts = Mapping[str, Any]
SERVES = {
    "image": "one answer per image",
    "dense": "an answer per voxel",
    "objects": "a list of objects",
    "centres": "per voxel a class, a centre and the way to it",
    "pictures": "an image",
    "made": "images that it makes of random numbers",
}
FOOTER = "Counted from shapes alone: nothing here says how well a network answers."
COUNTING = (
    "Multiplications are pairs of multiplication and addition in convolutions, linear layers and products of attention, of one "
    "forward pass. Reads: the part of the image, in voxels, that can change the unit which sees furthest; statistics of "
    "normalisation are left out."
)


def line_below(facts: Facts) -> str:
    """What stands below the name on a drawing."""
    channels = facts["input"][0]
    image = f"{edges(facts['input'][1:])}, {channels} channel{'s' if channels > 1 else ''}"
    return f"image of {image}: {count(facts['parameters'])} parameters, {count(facts['macs'])} multiplications"


def network_page(facts: Facts, svg: str) -> str:
    """One network."""
    sections = [
        Section("drawing", "Drawing", line_below(facts) + ".", [Chart(Markup(svg))]),
        Section("facts", "Facts", "What it is, and what it costs.", [_facts(facts), *_options(facts)]),
        Section("layers", "Layers", "In the order in which a forward pass meets them.", [_layers(facts)]),
    ]
    title, kicker = f"{facts['name']}, {facts['dimensions']}D", "A network"
    if "trained" in facts:
        kicker = f"The network of {facts['trained']['name']}"
    return sheet(title, kicker, f"It gives {SERVES[facts['serves']]}.", sections, FOOTER)


def comparison_page(result: Facts) -> str:
    """Several networks on one scale."""
    found = result["networks"]
    drawn = several_diagrams([(facts["structure"], facts["name"], line_below(facts)) for facts in found])
    columns, rows = comparison_rows(result)
    notes = [facts["memory"]["advice"] and f"{facts['name']} does not fit here: {facts['memory']['advice']}." for facts in found]
    blocks: list[Block] = [Table("For one image", columns, rows, measured_how(result) + " " + COUNTING)]
    blocks += [Words(note, is_warning=True) for note in notes if note]
    sections = [
        Section("table", "Side by side", "Less is not worse: what a network costs says nothing of how well it answers.", blocks),
        Section("drawing", "Drawn on one scale", "Boxes of one height are maps of one size.", [Chart(Markup(drawn))]),
    ]
    names = [facts["name"] for facts in found]
    title = ", ".join(names) if len(names) < 4 else f"{len(names)} networks"
    return sheet(title, "Networks compared", "What each costs.", sections, FOOTER)


def comparison_rows(result: Facts) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Columns and rows of the comparison, in words."""
    columns = ("network", "parameters", "multiplications", "memory of a step", "fits here", "reading", "training", "reads")
    rows = []
    for facts in result["networks"]:
        held, speed = facts["memory"], facts.get("speed")
        times = (seconds(speed["forward"]), seconds(speed["step"])) if speed else (None, None)
        rows.append(
            (
                facts["name"],
                count(facts["parameters"]),
                count(facts["macs"]),
                memory(held["step_gib"] * 2**30),
                "yes" if held["fits"] else "no",
                *times,
                field_words(facts["reads"]),
            )
        )
    return columns, rows


def measured_how(result: Facts) -> str:
    """Under which conditions the numbers of a comparison hold."""
    found = result["networks"]
    batch = found[0]["memory"]["batch"]
    words = [f"Memory of a training step with a batch of {batch}, of which {found[0]['memory']['free_gib']:g} GiB are free."]
    speed = next((facts["speed"] for facts in found if "speed" in facts), None)
    if speed is None:
        return words[0] + " Nothing was timed."
    threads = {None: "", 1: ", one thread"}.get(speed["threads"], f", {speed['threads']} threads")
    words.append(
        f"Seconds per image in float32 on this machine ({speed['device']}{threads}), median of {speed['repeats']}: reading is "
        "one forward pass of one image, training forward and backward of a batch of 2."
    )
    return " ".join(words)


def field_words(found: Mapping[str, Any]) -> str:
    """How far a network sees: of an answer that reads the whole image, also the widest map before it."""
    if found["answer"] is None:
        return reads(found["map"])
    words = reads(found["answer"])
    is_whole = all(edge is None for edge in found["answer"]["size"])
    return f"{words}; maps {reads(found['map'])}" if is_whole and found["map"] else words


def _facts(facts: Facts) -> Table:
    rows = [
        ("answers with", SERVES[facts["serves"]]),
        ("paper", facts["paper"]),
        ("licence of the code", facts["licence"]),
        ("parameters", count(facts["parameters"])),
        ("multiplications", count(facts["macs"])),
        ("memory of the layers' answers", memory(facts["layer_bytes"])),
        ("of these a training step keeps", memory(facts["training_bytes"])),
        ("reads", field_words(facts["reads"])),
    ]
    if facts.get("trained", {}).get("members", 1) > 1:
        rows.insert(0, ("part of", f"an ensemble of {facts['trained']['members']}, of which this is the first"))
    return Table("Of one image, in float32", ("what", "value"), rows, COUNTING)


def _options(facts: Facts) -> list[Block]:
    if not facts["options"]:
        return []
    defaults = facts["defaults"]
    rows = [
        (name, option(value), option(defaults[name]) if name in defaults else None) for name, value in facts["options"].items()
    ]
    note = "Set in [training.network] of project.toml, or with --set training.network.NAME=VALUE."
    return [Table("Options", ("option", "here", "default"), rows, note)]


def option(value: Any) -> str:
    """A value as it is written in project.toml."""
    if value is None:
        return "chosen"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _layers(facts: Facts) -> Table:
    rows = [layer_cells(row, has_regions=facts["has_regions"]) for row in facts["layers"]["rows"]]
    elsewhere = facts["layers"]["parameters_elsewhere"], _millions(facts["layers"]["macs_elsewhere"])
    if any(elsewhere):
        rows.append(("outside of layers (tokens, scales, products of attention)", "", "", *elsewhere, None, ""))
    rows.append(("all", "", "", facts["parameters"], _millions(facts["macs"]), round(facts["layer_bytes"] / 2**20, 3), ""))
    note = "Heads that read proposed regions are counted for one region." if facts["has_regions"] else ""
    return Table("Layers", LAYER_COLUMNS, rows, note)


LAYER_COLUMNS = ("layer", "kind", "answer", "parameters", "million multiplications", "MiB", "reads")


def layer_cells(row: Mapping[str, Any], *, has_regions: bool) -> tuple[Any, ...]:
    """One layer as a row of `LAYER_COLUMNS`; what reads nothing of the image reads random numbers, a time, a class."""
    shape = "×".join(str(n) for n in row["output"])
    return (
        row["name"],
        row["kind"],
        shape,
        row["parameters"],
        _millions(row["macs"]),
        round(row["bytes"] / 2**20, 3),
        reads(row["field"]) if row["field"] is not None or has_regions else "numbers",
    )


def _millions(count: int) -> float:
    return round(count / 1e6, 3)
