"""Small pictures for the audit's page: the pairs, twins and suspects behind a concern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from overread.audit.audited import Audited, called
from overread.audit.concern import Concern
from overread.audit.objects.shown import objects_behind, with_boxes
from overread.cohort.progress import Progress, counted
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.reporting.audit_page import CasePicture
from overread.reporting.pictures.pairs import side_by_side

MOST_PER_CONCERN = 3
MOST_IN_GROUP = 4
MOST = 24


def pictures_of(audited: Audited, concerns: Sequence[Concern], progress: Progress | None) -> tuple[CasePicture, ...]:
    """The first groups of each concern, up to four images of each; truths that are sealed are not told."""
    cases = {case.case_id: case for case in audited.cases}
    truths = {case_id: _truth(case.truth) for case_id, case in cases.items()}
    wanted = [(c, group) for c in concerns for group in _chosen(c.cases, truths)][:MOST]
    made = []
    for concern, group in counted(wanted, len(wanted), "Drawing what was found", progress):
        shown = []
        for case_id in list(group)[:MOST_IN_GROUP]:
            try:
                image = _marked(audited, concern, case_id)
            except OverreadError:
                continue
            case = cases[case_id]
            words = [case_id, called(case.partition), _truth(case.truth)]
            shown.append((", ".join(word for word in words if word), image))
        if shown:
            caption = ", ".join(group[:MOST_IN_GROUP]) + (
                f" and {len(group) - MOST_IN_GROUP} more" * (len(group) > MOST_IN_GROUP)
            )
            png = side_by_side(shown, title="", is_phantom=audited.is_phantom)
            made.append(CasePicture(concern.key, png, caption, tuple(group)))
    return tuple(made)


def _marked(audited: Audited, concern: Concern, case_id: str) -> Image:
    """The image of a case, with frames around the objects that a concern is about."""
    image = audited.open_image(case_id)
    if audited.open_objects is None or not concern.key.startswith("object-"):
        return image
    boxes = audited.open_objects(case_id)
    return with_boxes(image, boxes.corners[objects_behind(concern, case_id, boxes)])


def _chosen(groups: Sequence[Sequence[str]], truths: Mapping[str, str]) -> list[Sequence[str]]:
    """The first groups; where each is one case, the first of every truth by turns, so that they can be told apart."""
    if any(len(group) != 1 for group in groups):
        return list(groups)[:MOST_PER_CONCERN]
    by_truth: dict[str, list[Sequence[str]]] = {}
    for group in groups:
        by_truth.setdefault(truths.get(group[0], ""), []).append(group)
    turns = [group for row in zip_longest(*by_truth.values()) for group in row if group is not None]
    return turns[: MOST_PER_CONCERN + 1 if len(by_truth) > 1 else MOST_PER_CONCERN]


def _truth(values: object) -> str:
    if not isinstance(values, dict):
        return ""
    called = [name for name, value in values.items() if value == 1]
    return " and ".join(called)
