"""The unit of analysis is one that is scored, or it is refused with the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from cohort.folders import film_cohort, mask_cohort
from overread.core.errors import OverreadError
from overread.workflow.init import init


def refusal(tmp_path: Path, images: Path, **options: object) -> str:
    with pytest.raises(OverreadError) as caught:
        init(tmp_path / "project", images, **options)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize(
    ("unit", "next_step"), [("lesion", "a label instead of a mask"), ("patient", "--index-exam first or last")]
)
def test_masks_are_scored_by_image_and_by_no_other_unit(tmp_path: Path, unit: str, next_step: str) -> None:
    mask_cohort(tmp_path / "all")
    said = refusal(tmp_path, tmp_path / "all", unit=unit)
    assert f"The unit of analysis is the {unit}, but the truth is masks, and each image is scored as a whole" in said
    assert "leave --unit out (one answer per exam)" in said
    assert next_step in said


def test_masks_are_not_put_together_whether_the_task_was_named_or_seen(tmp_path: Path) -> None:
    mask_cohort(tmp_path / "all")
    assert "masks are scored image by image" in refusal(tmp_path, tmp_path / "all", aggregation="max")


def test_an_answer_per_side_needs_the_side_of_every_image(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    said = refusal(tmp_path, images, sheet=sheet, positive="ill", unit="side")
    assert "The unit of analysis is the side, and 12 of 12 images name none, p01_1.png for example" in said
    assert "--side COLUMN" in said
    lines = sheet.read_text().splitlines()
    sheet.write_text("\n".join([lines[0] + ",which", *(f"{line},{'LR'[k % 2]}" for k, line in enumerate(lines[1:]))]))
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill", unit="side", side="which")
    assert project.question.unit == "side"


def test_lesions_that_share_an_image_are_refused_by_the_unit_also_without_a_rule(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    sheet.write_text(sheet.read_text() + "p01_1.png,PAT-001,well,41\n")
    said = refusal(tmp_path, images, sheet=sheet, positive="ill", unit="lesion")
    assert "The unit of analysis is the lesion, and 1 image has several lesions" in said
    assert "'p01_1.png' in lines 2, 14 for example" in said
    assert "--unit exam --aggregation" in said
