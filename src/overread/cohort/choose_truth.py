"""What counts as the truth: drawn objects, masks, columns of a sheet or class folders; and the question it answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from overread.cohort import ask
from overread.cohort.ask import Said
from overread.cohort.ask_objects import of_objects
from overread.cohort.ask_pictures import IMAGE_TASKS, kinds_of, of_images
from overread.cohort.chosen_classes import refuse_choice
from overread.cohort.columns import Roles
from overread.cohort.draft import Draft, LeftOut, Step
from overread.cohort.inspect import Seen, declared_names
from overread.cohort.join import Joined
from overread.cohort.labels.find import find_objects, label_root
from overread.cohort.labels.objects import Objects
from overread.cohort.labels.read_drawn import findings_of_masks
from overread.cohort.labels.read_values import label_truths
from overread.cohort.labels.truths import Truths
from overread.cohort.layouts import Layout
from overread.cohort.request import Request
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.imaging.found import Scan


def refuse_unclear(request: Request, layout: Layout, joined: Joined | None) -> None:
    """Label files beside the images that cannot be told apart count only where they would be the truth."""
    said = request.said
    wanted = said.task in (None, "segmentation", *ask.OBJECT_TASKS) or (said.task == "classification" and joined is None)
    if layout.unclear is not None and request.truth is None and not said.labels and wanted:
        raise layout.unclear


def drawn_objects(
    request: Request,
    layout: Layout,
    look: Callable[[], Scan],
    folder: Path,
    drafts: Sequence[Draft],
    joined: Joined | None,
) -> Objects | None:
    """Boxes, outlines, contours or reports: at --truth, or in the image folder itself where nothing else is a truth."""
    if request.truth is not None and (Path(request.truth).is_dir() or label_root(Path(request.truth)) is not None):
        where = Path(request.truth)
    elif (
        request.truth is None
        and not (layout.truth_files or request.said.labels or any(d.label for d in drafts))
        and (joined is None or request.said.task in ("segmentation", *ask.OBJECT_TASKS))
    ):
        where = folder
    else:
        return None
    leave_out = request.faulty != "refuse"
    return find_objects(where, drafts, folder, task=request.said.task, leave_out=leave_out, look=look)


def masks_or_labels(
    request: Request,
    masks: Truths | None,
    truth_folder: Path | None,
    joined: Joined | None,
    roles: Roles | None,
    drafts: Sequence[Draft],
) -> tuple[str, str, tuple[str, ...], str, Truths]:
    """Task, source, columns, reason and truths where they are masks, columns of a sheet or class folders."""
    said, labels = request.said, [d.label for d in drafts]
    has_words = joined is not None or any(labels) or said.labels
    if masks is not None and truth_folder is not None and said.task == "classification" and not has_words:
        return said.task, "masks", (), "you said so", findings_of_masks(masks, drafts, truth_folder, said, request.how)
    task, source, columns, why = ask.choose_task(said, masks is not None, joined, roles, labels)
    if masks is not None and source == "masks":
        return task, source, columns, why, masks
    refuse_choice(said, "the truth is values, one for each case")
    return task, source, columns, why, label_truths(task, source, columns, drafts, joined, said, request.aggregation, request.how)


def follow_renamed(truth_files: Mapping[str, tuple[str, ...]], renamed: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Truths of a series that became a channel belong to its case; that of the reference counts first."""
    moved = dict(truth_files)
    for series, case in renamed.items():
        if series in truth_files:
            moved.setdefault(case, truth_files[series])
    return moved


def with_truth(
    drafts: Sequence[Draft], truths: Truths, steps: Sequence[Step], joined: Joined | None, request: Request
) -> tuple[list[Draft], list[Step]]:
    kept = [d for d in drafts if d.name in truths.by_name]
    out = tuple(LeftOut(d.name, truths.why_not.get(d.name, "no truth")) for d in drafts if d.name not in truths.by_name)
    if not kept:
        reasons = Counter(item.reason for item in out).most_common(1)
        raise OverreadError(
            f"No label matches: none of the {len(drafts)} images has a truth ({reasons[0][0] if reasons else 'none given'})."
            + ("" if not truths.unknown else f" Left over: {'; '.join(truths.unknown[:3])}."),
            "check --truth and --sheet; labels are joined by file, patient, study or accession name",
        )
    return kept, [*steps, Step("truth known", len(kept), out)]


def question_of(
    task: str, said: Said, truths: Truths, drafts: Sequence[Draft], seen: Sequence[Seen]
) -> tuple[Question, dict[str, str]]:
    if task in ("segmentation", *ask.OBJECT_TASKS):
        found = Counter(value for s in seen for value in s.voxels)
        asked = ask.segmentation if task == "segmentation" else partial(of_objects, task)
        return asked(said, truths.structures or declared_names(drafts, seen), found)
    if task in IMAGE_TASKS:
        masks, told = _along(said, truths, drafts, seen) if said.by_mask else (None, {})
        like = seen[kinds_of(said, drafts, truths).index(said.unpaired[1])] if said.unpaired else seen[0]
        return of_images(said, like.channels, like.units, truths.question.classes if truths.question else (), masks), told
    assert truths.question is not None
    return truths.question, dict(truths.reasons)


def _along(said: Said, truths: Truths, drafts: Sequence[Draft], seen: Sequence[Seen]) -> tuple[Question, dict[str, str]]:
    """The question that the masks would answer along which images are made."""
    masks, reasons = ask.segmentation(
        said, truths.structures or declared_names(drafts, seen), Counter(v for s in seen for v in s.voxels)
    )
    return masks, {name.replace("classes", "guides"): why for name, why in reasons.items()}


def of_labels(reasons: Mapping[str, str]) -> dict[str, str]:
    """Reasons where labels draw each object by itself, so that nobody has to say how masks tell them apart."""
    return {
        k: v.replace("declared with the masks", "declared with the labels") for k, v in reasons.items() if k != "question.objects"
    }
