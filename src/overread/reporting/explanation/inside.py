"""The inside of the network on the page of explanations: each part begins with what is seen, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from overread.reporting.charts.weights import change_chart, spread_chart
from overread.reporting.explanation.attention import attention_blocks
from overread.reporting.page_parts import Block, Chart, Part, Picture, Pictures, Section, Table, Words

_KINDS = ("Conv", "Linear", "Pool", "Upsample")
_SPREADS = 6  # layers whose weights are drawn as histograms


def inside_section(part: Part) -> Section:
    """What `overread inside` left, in the order in which an image goes through."""
    record = part.record
    blocks: list[Block] = []
    for name, make in _PARTS.items():
        if name in record["parts"]:
            blocks += make(record["parts"][name], part)
    for refused in record["refused"]:
        blocks.append(Words(f"Not shown, {refused['title']}: {refused['reason']}"))
    blocks += [Words(note) for note in record["notes"]]
    return Section("inside", "Inside the network", _lead(record), blocks)


def _lead(record: Mapping[str, Any]) -> str:
    shown = f", shown on {record['case']}" if record["case"] else ""
    return (
        f"What the {record['network']} is made of and what its layers respond to{shown}. None of it says why an answer is right."
    )


def _layers(found: Mapping[str, Any], part: Part) -> list[Block]:
    rows = [_layer_row(row) for row in found["rows"] if _is_shown(row)]
    others = [row for row in found["rows"] if not _is_shown(row)]
    if others:
        rest = f"{len(others)} others (normalisation, activation)"
        rows.append((rest, "", "", sum(r["parameters"] for r in others), _millions(sum(r["macs"] for r in others)),
                     _mib(sum(r["bytes"] for r in others)), ""))  # fmt: skip
    if found["parameters_elsewhere"] or found["macs_elsewhere"]:
        rest = "outside of layers (products of attention, tokens, scales)"
        rows.append((rest, "", "", found["parameters_elsewhere"], _millions(found["macs_elsewhere"]), None, ""))
    bytes_ = sum(row["bytes"] for row in found["rows"])
    rows.append(("all", "", "", found["parameters"], _millions(found["macs"]), _mib(bytes_), ""))
    seen = " x ".join(str(n) for n in found["input"][1:])
    note = (
        f"For one image of {seen} and {_channels(found['input'][0])}. Memory: answers of the layers in float32; a training step "
        f"keeps {_mib(found['training_bytes'])} MiB of them per image. Reads: the part of the image, in voxels, that can change "
        "the unit which sees furthest, through whichever branch; statistics of normalisation are left out."
    )
    if found["has_regions"]:
        note += " Heads that read proposed regions are counted for one region."
    lead = (
        "An image enters at the top of this table and the answer leaves at its bottom. On the way maps become smaller and more, "
        "and each of their points sees a larger part of the image."
    )
    columns = ("layer", "kind", "answer", "parameters", "million multiplications", "MiB", "reads")
    return [Words(lead), Table("Layers", columns, rows, note)]


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


def _is_shown(row: Mapping[str, Any]) -> bool:
    return row["macs"] > 0 or any(kind in row["kind"] for kind in _KINDS)


def _layer_row(row: Mapping[str, Any]) -> tuple[Any, ...]:
    answer = " x ".join(str(n) for n in row["output"])
    return (
        row["name"],
        row["kind"],
        answer,
        row["parameters"],
        _millions(row["macs"]),
        _mib(row["bytes"]),
        "clinical values" if row["name"].startswith("told.") and row["field"] is None else field_words(row["field"]),
    )


def field_words(field: Mapping[str, Any] | None) -> str:
    """A theoretical receptive field in words."""
    if field is None:
        return "a proposed region"
    if field["why"]:
        return "may read the whole image"
    if all(edge is None for edge in field["size"]):
        return "the whole image"
    return " x ".join("all" if edge is None else str(edge) for edge in field["size"])


def _kernels(found: Mapping[str, Any], part: Part) -> list[Block]:
    lead = (
        "The first layer lays these small patterns over every spot of the image and answers where they fit: edges, spots, "
        "stripes. Patterns that still look like noise have learned little, or were not needed."
    )
    captions = [
        (one["file"], f"First layer, {found['layer']}: kernels for channel {one['channel']}.") for one in found["pictures"]
    ]
    return [Words(lead), _pictures(part, captions, is_wide=True)]


def _maps(found: Mapping[str, Any], part: Part) -> list[Block]:
    lead = (
        "Bright spots of a map are where one channel of a layer responds to this case. Shown are the channels that vary most, "
        "each on a scale of its own, so brightness cannot be compared between two maps."
    )
    captions = [
        (one["file"], f"{one['layer']}: {len(one['numbers'])} of {one['channels']} channels, those that vary most first.")
        for one in found["layers"]
    ]
    return [Words(lead), _pictures(part, captions, is_wide=True)]


def _excited(found: Mapping[str, Any], part: Part) -> list[Block]:
    warning = (
        "These are optimised pictures, no patients. Each was made from noise, step by step, to raise one number of the network "
        "as far as it goes. What appears is what that number likes; no disease looks like this, and it may be the scanner's mark."
    )
    rows = [
        (one["name"], one["layer"], _number(one["start"]), _number(one["reached"]), _number(one["of_case"]),
         one["steps"])
        for one in found["pictures"]
    ]  # fmt: skip
    note = (
        "Climbed by the gradient with jitter, blurred steps and decay towards the mean intensity, always from the same noise "
        "(Yosinski 2015; Olah 2017). "
    )
    if any(one["steps"] < one["planned"] for one in found["pictures"]):
        note += "Fewer steps than planned where the time was over. "
    columns = ("raised", "layer", "on noise", "on the picture", "on the case", "steps")
    captions = [(one["file"], one["caption"]) for one in found["sheets"]]
    pictures = _pictures(part, captions, is_wide=True)
    return [Words(warning, is_warning=True), pictures, Table("How far each number was raised", columns, rows, note.strip())]


def _field(found: Mapping[str, Any], part: Part) -> list[Block]:
    unit = "mm" if found["layers"][0]["is_mm"] else "pixels"
    over = "noise" if found["is_noise"] else "this case" if found["images"] == 1 else f"{found['images']} cases"
    lead = (
        "How much of the image one point of a layer sees. In theory it is the dashed box; in truth almost all of its answer "
        f"comes from the coloured middle of it. The circle holds 95 % of that influence, on average over {over}."
    )
    rows = [(one["layer"], field_words(one["theoretical"]), round(one["radius"], 1)) for one in found["layers"]]
    note = (
        "Influence: the mean square of how the middle unit changes with each voxel (Luo 2016). A lesion much larger than the "
        "circle is not seen as one by this layer."
    )
    captions = [(one["file"], _field_caption(one, unit)) for one in found["layers"]]
    table = Table("Receptive fields", ("layer", "in theory, voxels", f"radius of 95 % of the influence, {unit}"), rows, note)
    return [Words(lead), _pictures(part, captions), table]


def _field_caption(one: Mapping[str, Any], unit: str) -> str:
    words = f"{one['layer']}: 95 % within {one['radius']:.1f} {unit}; in theory {field_words(one['theoretical'])}"
    if one["is_beyond"]:
        words += ", larger than the window shown"
    return words + "."


def _weights(found: Mapping[str, Any], part: Part) -> list[Block]:
    lead = (
        "How far training moved the weights of each layer away from where they began. A layer that hardly moved does today what "
        "it did before: what it was drawn at random to do, or what it had learned elsewhere."
    )
    rows = [
        (row["name"], row["count"], _number(row["sd_before"]), _number(row["sd_after"]),
         _number(row["change"]))
        for row in found["rows"]
    ]  # fmt: skip
    chosen = found["rows"]
    if len(chosen) > _SPREADS:
        chosen = [chosen[round(k * (len(chosen) - 1) / (_SPREADS - 1))] for k in range(_SPREADS)]
    columns = ("layer", "weights", "SD before", "SD after", "relative change")
    return [
        Words(lead),
        Chart(Markup(change_chart(found["rows"])), "Relative change: length of the change over length of the weights before."),
        Chart(Markup(spread_chart(chosen)), "Spread of the weights of some layers, first to last."),
        Table("Weights before and after training", columns, rows, found["how"]),
    ]


_PARTS = {
    "layers": _layers,
    "kernels": _kernels,
    "maps": _maps,
    "attention": attention_blocks,
    "field": _field,
    "excite": _excited,
    "weights": _weights,
}


def _pictures(part: Part, captions: list[tuple[str, str]], *, is_wide: bool = False) -> Pictures:
    there = [Picture(part.pictures[file], caption) for file, caption in captions if file in part.pictures]
    return Pictures(there, is_wide)


def _millions(macs: int) -> float:
    return _rounded(macs / 1e6)


def _mib(count: int) -> float:
    return _rounded(count / 2**20)


def _rounded(value: float) -> float:
    return round(value, 1) if value >= 10 else float(f"{value:.2g}")


def _number(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")
