"""Objects labelled twice, under two classes, of unusual size, at the border; clean images: planted, and found by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from audit.drawn import cohort
from overread.audit.audited import Audited
from overread.audit.concern import Concern
from overread.audit.objects.counts import object_table
from overread.audit.objects.look import measure_objects, object_concerns
from overread.audit.objects.shown import objects_behind, with_boxes
from overread.core.grid import Grid
from overread.core.kinds import Boxes
from overread.core.question import Question

GRID = Grid.from_spacing((1, 64, 64), spacing_known=False, is_planar=True)
Box = tuple[str, float, float, float, float]  # class, y0, x0, y1, x1


def opened(drawn: Mapping[str, Sequence[Box]], case_id: str) -> Boxes:
    rows = drawn.get(case_id, ())
    corners = np.array([[[-0.5, y0, x0], [0.5, y1, x1]] for _, y0, x0, y1, x1 in rows]).reshape(-1, 2, 3)
    return Boxes(corners, tuple(name for name, *_ in rows), np.ones(len(rows)), GRID)


def of_objects(drawn: Mapping[str, Sequence[Box]], count: int = 12) -> Audited:
    made = cohort(count)
    cases = tuple(replace(case, truth=None, is_sealed=case.partition == "internal") for case in made.cases)
    return replace(made, cases=cases, question=Question("detection", ("cyst", "stone")), open_objects=partial(opened, drawn))


def regular(count: int = 12) -> dict[str, list[Box]]:
    """One cyst of 9 to 11 pixels in every image but the last four."""
    return {f"c{k}": [("cyst", 20.5, 20.5, 29.5 + k % 3, 29.5 + k % 3)] for k in range(count - 4)}


def concerns(drawn: Mapping[str, Sequence[Box]], count: int = 12) -> dict[str, Concern]:
    audited = of_objects(drawn, count)
    return {c.key: c for c in object_concerns(audited, measure_objects(audited))}


def test_a_regular_cohort_raises_nothing() -> None:
    assert concerns(regular()) == {}


def test_one_object_labelled_twice_and_one_of_two_classes() -> None:
    drawn = regular()
    drawn["c0"].append(("cyst", 20.5, 20.5, 29.5, 29.9))
    drawn["c1"].append(("stone", 20.6, 20.5, 30.5, 30.5))
    drawn["c2"].append(("cyst", 25.5, 25.5, 36.5, 36.5))  # overlaps, and is another one
    drawn["c3"].append(("cyst", 20.5, 20.5, 29.5, 29.9))  # under seal: nobody looks
    found = concerns(drawn)
    assert set(found) == {"object-labelled-twice", "object-of-two-classes"}
    twice = found["object-labelled-twice"]
    assert twice.statement.startswith("1 pair of objects of one class overlap by more than 0.8")
    assert (twice.cases, twice.evidence["pairs"], twice.partitions) == ([("c0",)], {"cyst": 1}, ("training",))
    assert found["object-of-two-classes"].evidence["pairs"] == {"cyst and stone": 1}


def test_unusual_sizes_and_objects_at_the_border() -> None:
    drawn = regular(40)
    drawn["c0"] = [("cyst", 5.5, 5.5, 6.5, 6.5)]  # a click
    drawn["c1"] = [("cyst", -0.5, 5.5, 7.5, 14.5)]
    found = concerns(drawn, 40)
    assert set(found) == {"object-unusual-size", "object-at-border"}
    assert "cyst 1 of" in found["object-unusual-size"].statement
    assert "is 1 pixels long" in found["object-unusual-size"].statement
    assert found["object-unusual-size"].cases == [("c0",)]
    assert found["object-at-border"].severity == "note"
    assert found["object-at-border"].cases == [("c1",)]


def test_no_clean_image() -> None:
    drawn = {f"c{k}": [("cyst", 20.5, 20.5, 29.5, 30.5)] for k in range(12)}
    assert "Every one of the 9 images whose truth is open holds an object." in concerns(drawn)["no-clean-image"].statement


def test_the_table_counts_open_truths_alone() -> None:
    audited = of_objects(regular())
    rows = object_table(audited, measure_objects(audited))
    assert {row["partition"] for row in rows} == {"training", "tuning"}
    (row,) = (row for row in rows if row["partition"] == "training" and row["class"] == "cyst")
    assert (row["images"], row["clean"], row["objects"], row["per_image"]) == (6, 2, 4, [1, 1, 1])
    assert row["unit"] == "pixels"
    assert row["longest"][1] == 10.0


def test_the_objects_behind_a_concern_are_framed() -> None:
    drawn = regular()
    drawn["c0"] += [("cyst", 40.5, 40.5, 50.5, 50.5), ("cyst", 20.5, 20.5, 29.5, 29.9)]
    found = concerns(drawn)["object-labelled-twice"]
    boxes = opened(drawn, "c0")
    assert objects_behind(found, "c0", boxes) == [0, 2]
    image = of_objects(drawn).open_image("c0")
    framed = with_boxes(image, boxes.corners[[0]])
    assert framed.array[0, 0, 20, 25] == image.array.max()  # outside the box
    assert framed.array[0, 0, 21, 25] == image.array.min()  # its first row
    assert framed.array[0, 0, 25, 25] == image.array[0, 0, 25, 25]
    assert (framed.array[0, 0, 35:] == image.array[0, 0, 35:]).all()
    volume = replace(image, grid=replace(image.grid, is_planar=False))
    assert with_boxes(volume, boxes.corners) is volume
