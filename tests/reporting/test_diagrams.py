"""Drawings of networks, and points whose names do not lie on each other."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from overread.reporting.diagrams.chart_page import chart_page, rows_of
from overread.reporting.diagrams.labels import Area, Point, placed
from overread.reporting.diagrams.layout import Scale, laid_out
from overread.reporting.diagrams.network import network_diagram, several_diagrams
from overread.reporting.diagrams.scatter import scatter
from overread.reporting.diagrams.words import count, edges, memory, reads, seconds


def block(label: str, kind: str, size: list[int], channels: int, **more: int) -> dict[str, Any]:
    numbers = {"maps": 1, "runs": 1, "slices": 1, "parameters": 10, "macs": 100, "times": 1, **more}
    return {"name": label, "label": label, "kind": kind, "size": size, "channels": channels, **numbers}


UNET = {
    "shape": [1, 64, 64],
    "blocks": [
        block("3×3 convolution", "convolution", [64, 64], 8, times=2),
        block("3×3 convolution", "convolution", [32, 32], 16),
        block("2×2 transposed convolution", "upsampling", [64, 64], 8),
        block("<1×1> convolution", "convolution", [64, 64], 2),
    ],
    "links": [[-1, 0], [0, 1], [1, 2], [2, 3], [0, 3]],
}


def test_height_follows_size_and_width_channels() -> None:
    image, first, second, up, last = laid_out(UNET, Scale.of([UNET])).boxes
    assert image.height == first.height == up.height == last.height > second.height
    assert image.width < last.width < up.width < second.width
    assert first.parts == 2
    assert [box.x for box in (image, first, second, up, last)] == sorted(box.x for box in (image, first, second, up, last))


def test_a_skip_runs_above_all_that_it_passes() -> None:
    layout = laid_out(UNET, Scale.of([UNET]))
    (way,) = layout.ways
    assert (way.source, way.target) == (1, 4)
    assert way.up > max(box.top for box in layout.boxes)
    assert layout.steps == ((0, 1), (1, 2), (2, 3), (3, 4))


def test_a_drawing_is_a_file_of_its_own() -> None:
    svg = network_diagram(UNET, "a & b", "two channels")
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = " ".join(root.itertext())
    for said in ("a & b", "two channels", "64²", "32²", "3×3 convolution ×2", "<1×1> convolution", "upsampling"):
        assert said in words
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<script|<image", svg)


def test_two_drawings_share_one_scale() -> None:
    small = {**UNET, "shape": [1, 32, 32], "blocks": [block("c", "convolution", [32, 32], 8)], "links": [[-1, 0]]}
    scale = Scale.of([UNET, small])
    assert laid_out(small, scale).boxes[0].height == laid_out(UNET, scale).boxes[2].height
    svg = several_diagrams([(UNET, "one", ""), (small, "two", "")])
    assert len(ElementTree.fromstring(svg).findall("{http://www.w3.org/2000/svg}svg")) == 2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(60, 600), st.integers(150, 300)), min_size=1, max_size=14, unique=True))
def test_names_beside_points_lie_on_nothing(places: list[tuple[int, int]]) -> None:
    points = [Point(x, y, y - 20, y + 20, f"run-{k}") for k, (x, y) in enumerate(places)]
    found = placed(points, Area(50, 30, 640, 380))
    for k, label in enumerate(found):
        for other in found[:k]:
            assert label.area.shared(other.area) == 0
    if len({x // 60 for x, _ in places}) == len(places):  # where there is room
        assert all(label.area.shared(point.bar) == 0 for label in found for point in points)


def run(name: str, estimate: float | None, cost: float | None, kind: str = "network") -> dict[str, Any]:
    low, high = (None, None) if estimate is None else (estimate - 0.05, estimate + 0.05)
    about = {"networks": ["resnet18"], "members": 1} if cost else {"networks": None, "members": None}
    costs = dict.fromkeys(("parameters", "macs", "seconds"), cost)
    rest = {"level": 0.95, "method": "DeLong", "n_cases": 40, "n_patients": 40, "reason": "" if estimate else "one class only"}
    return {"run": name, "kind": kind, **about, **costs, "estimate": estimate, "low": low, "high": high, **rest}


RESULT = {
    "project": "films", "partition": "tuning", "is_phantom": True, "endpoint": "auc/ill", "endpoint_name": "Area", "unit": "",
    "better": "higher", "machine": {"processor": "a processor"}, "device": "cpu", "threads": 1, "repeats": 5, "read": "C-1",
    "runs": [run("wide", 0.9, 2e6), run("slim", 0.88, 1e5), run("baseline", 0.8, None, "baseline"), run("lost", None, 1e5)],
    "front": {cost: ["wide", "slim"] for cost in ("parameters", "macs", "seconds")}, "notes": ["see `overread compare`", "and"],
}  # fmt: skip


def test_the_page_of_the_chart_holds_every_run_and_says_phantom() -> None:
    page = chart_page(RESULT)
    assert page.count("<svg") == 3
    assert "PHANTOM" in page
    assert "0.900 (0.850 to 0.950)" in page
    assert "not defined: one class only" in page
    assert [row[0] for row in rows_of(RESULT)] == ["wide", "slim", "baseline", "lost"]
    assert rows_of(RESULT)[2][3:6] == ("none", "none", "none")


def test_a_baseline_is_a_line_and_an_undefined_score_is_not_drawn() -> None:
    svg = scatter(RESULT["runs"], "seconds", ["wide"], title="Seconds", x_label="s", y_label="Area")  # type: ignore[arg-type]
    assert svg.count('class="chance"') == 1
    assert "lost" not in svg
    assert svg.count("<circle") == 2
    assert 'class="hollow"' in svg


def test_sizes_and_counts_in_words() -> None:
    assert [edges(size) for size in ((56, 56), (8, 8, 8), (4, 16, 16), (3, 5), (197,), ())] == [
        "56²", "8³", "4×16²", "3×5", "197 tokens", ""
    ]  # fmt: skip
    assert [count(n) for n in (999, 11_172_810, 2.5e9)] == ["999", "11.2 million", "2.5 billion"]
    assert [memory(n) for n in (2**20, 3 * 2**30)] == ["1 MiB", "3 GiB"]
    assert [seconds(s) for s in (0.0123, 2.5)] == ["12.3 ms", "2.5 s"]
    assert reads({"size": [None, 7], "why": ""}) == "all×7"
    assert reads({"size": [None, None], "why": "attention"}) == "may read all"
