"""Studies whose answer is an image: what they are called, where their truth comes from, which items of CLAIM do not apply."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from overread.core.question import LABELLED, TASKS, Question
from overread.reporting.checklists.claim import AUTHOR, FILLED, NOT_APPLICABLE, claim_rows
from overread.reporting.of_images import own_truth, sealed, task_title, technique
from overread.reporting.page_parts import Part
from overread.reporting.paper.cards import data_card
from overread.reporting.paper.limitations import limitations
from overread.reporting.paper.methods import as_text
from overread.reporting.paper.undone import undone
from overread.reporting.sections.structures import structure_section
from reporting.fakes import complete

OF_THE_REFERENCE = (14, 15, 16, 17, 18)
RESTORE = Question("restore", ("image",), given=("image",), degradation="noise:1")
TRANSLATE = Question("translate", ("flair", "t2"), given=("t1",))
SYNTHESIZE = Question("synthesize", ("image",))
BY_MASK = Question("synthesize", ("image",), (1,), guides=("nodule",))


def study(question: Question) -> Any:
    """A complete study, asked another question; nobody has said anything of its reference standard."""
    given = complete()
    settings = {**given.settings, "truth": {}, "question": {"task": question.task}}
    answers = {name: text for name, text in given.answers.items() if not name.startswith("claim.")}
    return replace(given, question=question.as_dict(), settings=settings, answers=answers, is_phantom=False)


def statuses(question: Question) -> dict[int, str]:
    return {row.item.number: row.status for row in claim_rows(study(question))}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_words(task: str) -> None:
    assert technique(task).startswith("Deep learning ")
    assert "autoencode" not in technique(task) + task_title(task)
    assert bool(own_truth(Question(task, ("a",)).as_dict())) == (task not in LABELLED)
    assert ("reference standard" in sealed(Question(task, ("a",)).as_dict())[0]) == (task in LABELLED)


def test_the_truth_of_an_image_is_said() -> None:
    assert technique("restore") == "Deep learning that restores images."
    assert technique("segmentation") == "Deep learning for segmentation."
    assert "before it was made worse" in own_truth(RESTORE.as_dict())
    assert "channels flair and t2 as acquired" in own_truth(TRANSLATE.as_dict())


def test_nobody_annotates_an_image() -> None:
    """The method of the standard is known from the question; what is asked of readers does not apply, each with a reason."""
    found = statuses(RESTORE)
    assert [found[number] for number in OF_THE_REFERENCE] == [FILLED, *[NOT_APPLICABLE] * 4]
    rows = {row.item.number: row for row in claim_rows(study(RESTORE))}
    assert all(rows[number].record.endswith(".") for number in OF_THE_REFERENCE)
    labelled = study(Question("segmentation", ("liver",), (1,)))
    asked = {row.item.number: row.status for row in claim_rows(labelled)}
    assert {asked[number] for number in OF_THE_REFERENCE} == {AUTHOR}


def test_made_images_have_no_truth_and_no_test() -> None:
    found = statuses(SYNTHESIZE)
    assert {number for number in (*OF_THE_REFERENCE, 32, 33, 38) if found[number] == NOT_APPLICABLE} == {
        *OF_THE_REFERENCE,
        32,
        33,
        38,
    }
    assert found[28] == AUTHOR
    interval = {"estimate": 0.4, "low": 0.3, "high": 0.5, "method": "jackknife", "n_cases": 9, "n_patients": 9}
    scores = [{"metric": "kid", "name": "Kernel distance", "interval": interval}]
    record = {"fidelity": {"scores": scores, "network": "an encoder"}, "memory": {"sentence": "No copies."}}
    rows = {row.item.number: row for row in claim_rows(replace(study(SYNTHESIZE), made={"": Part(record)}))}
    assert "Kernel distance 0.400 (0.300 to 0.500)" in rows[37].record
    assert (rows[29].status, rows[29].record) == (FILLED, "Intervals: jackknife.")


def test_masks_along_which_images_are_made_were_drawn_by_somebody() -> None:
    """So who drew them, and how, is asked as of any reference standard; and yet no case is answered."""
    found = statuses(BY_MASK)
    assert {found[number] for number in OF_THE_REFERENCE} == {AUTHOR}
    assert {found[number] for number in (32, 33, 38)} == {NOT_APPLICABLE}
    assert own_truth(BY_MASK.as_dict()) == ""
    assert sealed(BY_MASK.as_dict()) == ("The masks of the internal test were", "They were")
    given = study(BY_MASK)
    assert "who gave the reference standard" in as_text(given)
    assert "What could further images look like that show nodule where a mask says?" in as_text(given)
    settings = {"question": {"task": "synthesize", "guides": ["nodule"]}}
    said = {what for what, _ in undone(settings, {}, (), (), 0, False)}
    assert {"The reference standard is not described.", "No agreement among readers."} <= said
    without = {what for what, _ in undone({"question": {"task": "synthesize"}}, {}, (), (), 0, False)}
    assert not {"The reference standard is not described.", "No agreement among readers."} & without


@pytest.mark.parametrize("question", [RESTORE, TRANSLATE, SYNTHESIZE], ids=lambda q: q.task)
def test_no_text_asks_who_gave_the_truth_of_an_image(question: Question) -> None:
    given = study(question)
    texts = (as_text(given), data_card(given), " ".join(one.sentence for one in limitations(given)))
    assert own_truth(question.as_dict()) in texts[0]
    assert own_truth(question.as_dict()) in texts[1]
    assert not any("who gave the reference" in text or "How the reference standard" in text for text in texts)
    assert "Agreement among readers was not measured" not in texts[2]


def row(metric: str, subject: str, value: float) -> dict[str, Any]:
    interval = {"estimate": value, "low": value - 0.1, "high": value + 0.1, "method": "bootstrap", "n_cases": 8, "n_patients": 4}
    return {"metric": metric, "name": metric, "subject": subject, "interval": {**interval, "level": 0.95}}


def test_structures_stand_in_one_table_and_lesions_in_another() -> None:
    scores = [row("dice", "liver", 0.9), row("dice", "lesion", 0.4), row("volume_error_percent", "lesion", -30.0)]
    scores += [row("erased", "lesion", 0.7), row("invented", "lesion", 0.2)]
    found = {
        "n_cases": 8,
        "n_patients": 4,
        "refused": 1,
        "scores": scores,
        "sentences": ["lesion: 7 of 10 erased."],
        "rule": "A rule.",
    }
    section = structure_section("fold 1", found)
    structures, lesions = (block for block in section.blocks if block.kind == "table")
    assert [line[0] for line in structures.rows] == ["liver", "lesion"]
    assert structures.rows[0][1:] == ("0.900 (0.800 to 1.000)", None, None, None)
    assert structures.rows[1][2] == "-30.000 (-30.100 to -29.900)"
    assert lesions.rows[0][:3] == ("lesion", "0.700 (0.600 to 0.800)", "0.200 (0.100 to 0.300)")
    assert "95 %, bootstrap" in structures.note
    assert "8 cases, 4 patients, of the tuning partition; 1 more were not answered" in section.lead
    along = structure_section("", {**found, "along_masks": True})
    assert (along.title, along.blocks[0].title) == (
        "Is the mask found again?",
        "Structures in the mask and on the image made along it",
    )
    assert "true" not in along.lead
    assert "1 more were refused. An image was made along the mask" in along.lead
