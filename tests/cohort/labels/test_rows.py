"""Several rows about one image: any positive makes it positive, and only known negatives make it negative."""

from __future__ import annotations

from pathlib import Path

import pytest

from cohort.folders import write_films, write_sheet
from overread.cohort.ask import Said
from overread.cohort.labels.rows import aggregate, positive_in
from overread.core.errors import OverreadError
from overread.workflow.init import init
from overread.workflow.project import Project

COLUMN = ("yes", "no", "No", None, "uncertain")


@pytest.mark.parametrize("rule", ["any", "max"])
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (("no", "yes"), "yes"),
        (("no", "No"), "no"),
        (("yes", None), "yes"),
        (("no", None), None),  # the blank lesion may be the positive one
        ((None, None), None),
        (("no", "uncertain"), "uncertain"),
        (("uncertain", "yes", None), "yes"),
        (("no",), "no"),
    ],
)
def test_the_positive_class_wins_and_a_blank_is_not_negative(
    rule: str, rows: tuple[str | None, ...], expected: str | None
) -> None:
    for said, finding in ((Said(positive="Yes"), False), (Said(), True)):
        assert aggregate("malignant", rows, rule, positive_in(COLUMN, said, finding=finding)) == expected


def test_the_positive_class_may_be_the_smaller_number_and_have_a_name() -> None:
    said = Said(positive="ill", names={"0": "ill", "1": "well"})
    assert aggregate("label", ("1", "0"), "any", positive_in(("1", "0"), said, finding=False)) == "0"


def test_grades_keep_their_order_and_words_without_a_positive_have_none() -> None:
    said = Said(positive="2")
    assert aggregate("grade", ("0", "2", "3"), "max", positive_in(("0", "1", "2", "3"), said, finding=False)) == "3"
    with pytest.raises(OverreadError, match=r"the rule 'any' cannot order words(?s:.*)--positive"):
        aggregate("malignant", ("no", "yes"), "any", positive_in(COLUMN, Said(), finding=False))
    with pytest.raises(OverreadError, match=r"classes have no mean(?s:.*)--aggregation any"):
        aggregate("malignant", ("no", "yes"), "mean", positive_in(COLUMN, Said(positive="yes"), finding=False))


def test_lesions_in_words_become_one_truth_per_image(tmp_path: Path) -> None:
    """As docs/how-to/sheet-from-excel.md has it: yes and no, one row per lesion."""
    names = [f"c{k}.png" for k in range(10)]
    write_films(tmp_path / "images", names)
    lesions = {0: ("no", ""), 1: ("", "yes")}
    rows = [[n, cell] for k, n in enumerate(names) for cell in lesions.get(k, ("no", "no") if k % 2 else ("no", "yes"))]
    sheet = write_sheet(tmp_path / "a.csv", ["file", "malignant"], rows)
    project = init(
        tmp_path / "p", tmp_path / "images", sheet=sheet, label=["malignant"], positive="yes", aggregation="any", splits="none"
    )
    cohort = Project.open(project.path).cohort()
    assert len(cohort.cases) == 9, "a lesion without a label leaves the image without one"
    assert "-1  its label is blank" in str(project.summary)
    assert project.summary is not None
    assert sum(part["classes"]["yes"] for part in project.summary.facts["parts"].values()) == 5
