"""The drawing of a network as in a paper: boxes as high as their maps are large and as wide as they have channels.

Torch-free: it takes the plain values of `networks.anatomy.structure`. Colours can be told apart by colour-blind readers and
in grey print by the words below each box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from overread.reporting.diagrams.layout import MARGIN, Box, Layout, Scale, Way, laid_out
from overread.reporting.diagrams.words import count, edges

COLOURS = {
    "image": "#f4f4f2",
    "convolution": "#7fb2d3",
    "residual": "#e8a15c",
    "branches": "#94c97f",
    "several scales": "#4fa394",
    "attention": "#db7b93",
    "recurrent": "#b08b6a",
    "pooling": "#b7bcc2",
    "upsampling": "#b79bd3",
    "fully connected": "#e6d05f",
    "other": "#e2e0da",
}
MEANINGS = {
    "branches": "branches laid beside each other (inception, dense)",
    "several scales": "several scales at once (pyramid, ASPP)",
}
INK, SOFT, HAIR = "#1b2026", "#59616b", "#c9ccd0"
_FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
_SPACE = 'xmlns="http://www.w3.org/2000/svg"'
_HEAD, _ROW = 52.0, 18.0
_LETTER = 6.1  # pixels of one letter of a label


def network_diagram(structure: Mapping[str, Any], title: str, says: str = "", scale: Scale | None = None) -> str:
    """One network as an SVG that needs nothing else.

    structure  shape, blocks and links, as `Structure.as_dict` gives them
    says       a line below the title
    scale      of several drawings, where they are to be compared
    """
    layout = laid_out(structure, scale or Scale.of([structure]))
    line = _HEAD + layout.up
    below = line + layout.down + 20
    labels, deep = _labels(layout, below + 20)
    used = [kind for kind in COLOURS if any(box.block["kind"] == kind for box in layout.boxes)][1:]
    left = min([0.0] + [box.middle - 0.76 * _LETTER * len(_label(box.block)) - 6 for box in layout.boxes])
    wide = max(layout.width, 560.0, 8.2 * len(title) + 2 * MARGIN)
    legend, ends = _legend(used, below + 20 + deep + 24, wide)
    body = [
        _text(MARGIN, 24, title, 16, weight=600),
        _text(MARGIN, 42, says, 12, SOFT),
        *(_step(layout.boxes[a], layout.boxes[b], line) for a, b in layout.steps),
        *(_box(box, line) for box in layout.boxes),
        *(_way(way, line, layout.boxes) for way in layout.ways),
        *_sizes(layout, line, below),
        *labels,
        *legend,
    ]
    spoken = escape(f"{title}. {_spoken(structure)}", quote=True)
    sheet = f'width="{wide - left:.0f}" height="{ends:.0f}"'
    return (
        f'<svg {_SPACE} viewBox="{left:.0f} 0 {wide - left:.0f} {ends:.0f}" {sheet} role="img" aria-label="{spoken}" '
        f'font-family="{_FONT}"><title>{escape(title)}</title><rect x="{left:.0f}" {sheet} fill="#ffffff"/>{"".join(body)}</svg>'
    )


def several_diagrams(drawn: Sequence[tuple[Mapping[str, Any], str, str]]) -> str:
    """Networks one below the other on one scale: (structure, title, line below it) each."""
    scale = Scale.of([structure for structure, _, _ in drawn])
    pictures = [network_diagram(structure, title, says, scale) for structure, title, says in drawn]
    sizes = [[float(v) for v in picture.split('viewBox="', 1)[1].split('"', 1)[0].split()[2:]] for picture in pictures]
    wide, top, parts = max(width for width, _ in sizes), 0.0, []
    for picture, (_, height) in zip(pictures, sizes, strict=True):
        parts.append(picture.replace("<svg ", f'<svg y="{top:.0f}" ', 1))
        top += height
    sheet = f'width="{wide:.0f}" height="{top:.0f}"'
    return f'<svg {_SPACE} viewBox="0 0 {wide:.0f} {top:.0f}" {sheet}><rect {sheet} fill="#ffffff"/>{"".join(parts)}</svg>'


def _spoken(structure: Mapping[str, Any]) -> str:
    return "; ".join(f"{_label(block)}, {block['channels']} channels {edges(block['size'])}" for block in structure["blocks"])


def _box(box: Box, line: float) -> str:
    """Front, top and side; equal blocks in a row are parted by lines."""
    colour, top = COLOURS[box.block["kind"]], line - box.height / 2
    x, right, low, back = box.x, box.right, line + box.height / 2, box.lean
    parts = [f"<title>{escape(_told(box.block))}</title>"]
    if back:
        parts.append(_face([(x, top), (x + back, top - back), (right + back, top - back), (right, top)], colour, 0.28))
        side = [(right, top), (right + back, top - back), (right + back, low - back), (right, low)]
        parts.append(_face(side, colour, 0.18, shade="#000000"))
    parts.append(_face([(x, top), (right, top), (right, low), (x, low)], colour))
    for part in range(1, box.parts):
        at = x + box.width * part / box.parts
        parts.append(
            f'<path d="M{at:.1f} {low:.1f}V{top:.1f}l{back:.1f} {-back:.1f}" fill="none" stroke="#ffffff" stroke-width="1.2"/>'
        )
    return f"<g>{''.join(parts)}</g>"


def _face(corners: Sequence[tuple[float, float]], colour: str, blend: float = 0.0, shade: str = "#ffffff") -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    look = f'fill="{_mixed(colour, shade, blend)}" stroke="{INK}" stroke-width=".7" stroke-linejoin="round"'
    return f'<polygon points="{points}" {look}/>'


def _line(path: str, colour: str, width: float, more: str = "") -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{more}/>'


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = [(int(colour[k : k + 2], 16), int(other[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _told(block: Mapping[str, Any]) -> str:
    """What a pointer over the box says."""
    size = f", {edges(block['size'])}" if block["size"] else ""
    costs = f"; {count(block['parameters'])} parameters, {count(block['macs'])} multiplications" if "macs" in block else ""
    return f"{_label(block)}: {block['channels']} channels{size}{costs}"


def _label(block: Mapping[str, Any]) -> str:
    more = f" ×{block['times']}" if block["times"] > 1 else ""
    if block["runs"] > 1:
        more += f", on {block['runs']} maps"
    elif block["maps"] > 1 and block["kind"] == "several scales":
        more += f", {block['maps']} maps"
    return block["label"] + more


def _step(one: Box, other: Box, line: float) -> str:
    """An arrow between neighbours."""
    start, end = one.right + one.lean / 2 + 2, other.x - 2
    return _line(f"M{start:.1f} {line:.1f}H{end - 4:.1f}", INK, 1.3) + _tip(end, line, 0)


def _tip(x: float, y: float, turn: int) -> str:
    return f'<path d="M0 0l-6 -3.2v6.4z" fill="{INK}" transform="translate({x:.1f} {y:.1f}) rotate({turn})"/>'


def _way(way: Way, line: float, boxes: Sequence[Box]) -> str:
    """Up from one box, over those between, down to the other, with round corners."""
    up, down = (line - _roof(boxes[place], at) for place, at in ((way.source, way.start), (way.target, way.end)))
    over, bend = line - way.up, min(8.0, abs(way.end - way.start) / 2)
    on = bend if way.end > way.start else -bend
    path = (
        f"M{way.start:.1f} {up:.1f}V{over + bend:.1f}q0 {-bend:.1f} {on:.1f} {-bend:.1f}H{way.end - on:.1f}"
        f"q{on:.1f} 0 {on:.1f} {bend:.1f}V{down - 5:.1f}"
    )
    return _line(path, SOFT, 1.3) + _tip(way.end, down - 1, 90)


def _roof(box: Box, at: float) -> float:
    """How high above the line the top of a box lies there: it rises from its front to its back."""
    return box.height / 2 + min(box.lean, max(0.0, at - box.x))


def _sizes(layout: Layout, line: float, below: float) -> list[str]:
    """Channels under each box; under neighbours of one size a bracket with that size."""
    parts = []
    for box in layout.boxes:
        parts.append(_text(box.middle, line + box.height / 2 + 12, f"{box.block['channels']:,}", 10.5, anchor="middle"))
        if below - line - box.height / 2 > 40:  # a guide from a low box to what is written below it
            guide = f"M{box.middle:.1f} {line + box.height / 2 + 17:.1f}V{below - 5:.1f}"
            parts.append(_line(guide, HAIR, 0.8, ' stroke-dasharray="2 3"'))
    taken = 0.0
    for words, group in groupby(layout.boxes, key=lambda box: _size_words(box.block, layout.boxes[0].block)):
        if words:
            several = list(group)
            left, right, half = several[0].x - 4, several[-1].right + 4, 3.1 * len(words)
            is_free = (left + right) / 2 - half > taken
            taken = (left + right) / 2 + half + 4 if is_free else taken
            parts.append(_line(f"M{left:.1f} {below - 2:.1f}v4H{right:.1f}v-4", SOFT, 0.8))
            parts.append(_text((left + right) / 2, below + (14 if is_free else 27), words, 10.5, SOFT, anchor="middle"))
    return parts


def _size_words(block: Mapping[str, Any], image: Mapping[str, Any]) -> str:
    if len(image["size"]) == 3 and list(block["size"]) == list(image["size"][:1]):
        return f"{block['size'][0]} slices"
    return f"{block['slices']} × {edges(block['size']) or 1}" if block["slices"] > 1 else edges(block["size"])


def _labels(layout: Layout, top: float) -> tuple[list[str], float]:
    """Names that lean, so that neighbours have room; and how deep they reach."""
    parts, deep = [], 0.0
    for box in layout.boxes:
        words = _label(box.block)
        turn = f'transform="translate({box.middle + 3:.1f} {top + 12:.1f}) rotate(-42)"'
        parts.append(f'<text {turn} text-anchor="end" font-size="11" fill="{INK}">{escape(words)}</text>')
        deep = max(deep, _LETTER * len(words) * 0.67 + 14)
    return parts, deep


def _legend(kinds: Sequence[str], top: float, wide: float) -> tuple[list[str], float]:
    parts, x, y = [], MARGIN, top
    for kind in kinds:
        words = MEANINGS.get(kind, kind)
        room = 26 + _LETTER * len(words)
        if x > MARGIN and x + room > wide - MARGIN:
            x, y = MARGIN, y + _ROW
        parts.append(
            f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="12" height="11" fill="{COLOURS[kind]}" stroke="{INK}" stroke-width=".6"/>'
        )
        parts.append(_text(x + 18, y, words, 11))
        x += room + 14
    note = "Height: size of the map. Width and the number below: channels. ×n: n in a row. Lines above: maps handed on."
    parts.append(_text(MARGIN, y + _ROW + 4, note, 10.5, SOFT))
    return parts, y + 2 * _ROW + 2


def _text(x: float, y: float, words: str, size: float, colour: str = INK, *, anchor: str = "start", weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )
