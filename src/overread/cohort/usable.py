"""Cases that can be opened and whose masks fit; the others stop the gathering, or are left out with the reason counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from overread.cohort.draft import Draft, LeftOut, Step
from overread.cohort.inspect import Seen, refuse_faults
from overread.core.errors import OverreadError, Refused
from overread.core.question import Question

MASK_FAULTS = (
    "mask-on-another-grid",
    "other-grid",
    "undeclared-value",
    "not-labels",
    "colour-mask",
    "other-frame-of-reference",
    "label-size",
    "outside-image",
    "boxes-only",
    "slice-unknown",
    "contours-elsewhere",
    "contours-not-parallel",
    "image-missing",
    "damaged-contour",
    "damaged-region",
)


def keep_usable(
    drafts: Sequence[Draft], seen: Sequence[Seen], steps: Sequence[Step], faulty: str, title: str = "opened and checked"
) -> tuple[list[Draft], list[Seen], list[Step]]:
    """Leave out, with the reason counted, what cannot be opened; stop on masks that do not fit."""
    if faulty == "refuse":
        refuse_faults(seen, MASK_FAULTS)
    out = [LeftOut(_told(d.name, s.refusal), _reason(s.refusal)) for d, s in zip(drafts, seen, strict=True) if s.refusal]
    if len(out) == len(drafts):
        refuse_faults(seen, tuple({s.refusal.code for s in seen if isinstance(s.refusal, Refused)}))
    good = [k for k, s in enumerate(seen) if s.refusal is None]
    return [drafts[k] for k in good], [seen[k] for k in good], [*steps, Step(title, len(good), tuple(out))]


def _told(name: str, refusal: OverreadError) -> str:
    return refusal.what if refusal.what.startswith(name) else f"{name}: {refusal.what}"


def _reason(refusal: OverreadError | None) -> str:
    return f"refused: {refusal.code}" if isinstance(refusal, Refused) else "refused"


def only_declared(
    question: Question, drafts: list[Draft], seen: list[Seen], steps: list[Step], faulty: str
) -> tuple[list[Draft], list[Seen], list[Step]]:
    """Stop on masks that hold a value which nobody declared, or leave their cases out."""
    if not question.values:
        return drafts, seen, steps
    declared = ", ".join(f"{v} = {n}" for n, v in zip(question.of_masks.classes, question.values, strict=True))
    checked = []
    for draft, s in zip(drafts, seen, strict=True):
        undeclared = sorted(set(s.voxels) - set(question.values))
        refusal = Refused(
            "undeclared-value",
            f"{draft.name}: the mask holds {', '.join(map(str, undeclared[:10]))}, which nobody declared; "
            f"declared are {declared}.",
            "correct the mask, or declare the value in dataset.json or with --name VALUE=NAME",
        )
        checked.append(replace(s, refusal=refusal) if undeclared else s)
    if all(s.refusal is None for s in checked):
        return drafts, seen, steps
    return keep_usable(drafts, checked, steps, faulty, "masks hold declared values only")
