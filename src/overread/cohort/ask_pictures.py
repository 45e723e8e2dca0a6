"""The question where images are learned for their own sake: what is read of each, and what image is to be answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from overread.cohort import ask
from overread.cohort.ask import Said
from overread.cohort.draft import Draft
from overread.cohort.join import Joined
from overread.cohort.labels.read_values import label_truths
from overread.cohort.labels.truths import Truths
from overread.cohort.request import Request
from overread.core.case import OF_THE_IMAGE, TruthReference
from overread.core.errors import OverreadError
from overread.core.question import PICTURES, Question
from overread.imaging.degrade.simulated import examples, parse_degradation

IMAGE_TASKS = (*PICTURES, "synthesize")  # their truth is made of the images themselves
WHY = "you said so; the truth is made of the images themselves"


def image_truths(request: Request, drafts: Sequence[Draft], joined: Joined | None) -> tuple[Truths, tuple[str, ...]]:
    """Every case has a truth, its own image; and its class or kind, where images are told apart. Columns that tell it."""
    how, said = request.how, replace(request.said, classes=())  # of a project these are channels, and no classes of images
    own = TruthReference(format=OF_THE_IMAGE, reader=how.reader, method=how.method, date=how.date)
    if not said.by_class and not said.unpaired:
        return Truths(dict.fromkeys((d.name for d in drafts), own)), ()
    source, columns = _where_classes_stand(said, drafts, joined)
    found = label_truths("classification", source, columns, drafts, joined, said, request.aggregation, how)
    if found.question is None or not found.question.exclusive:
        what = "Images are of one kind each" if said.unpaired else "Images are made of one class each"
        raise OverreadError(f"{what}; several findings were named.", "name one column with --label")
    by_name = {name: replace(truth, format=OF_THE_IMAGE) for name, truth in found.by_name.items()}
    found = replace(found, by_name=by_name)
    return (_of_two_kinds(found, said.unpaired) if said.unpaired else found), columns


def _of_two_kinds(found: Truths, kinds: Sequence[str]) -> Truths:
    """The images of the two kinds that were named; those of further kinds stay out."""
    assert found.question is not None
    there = [name for name in found.question.classes if any(truth.values.get(name) == 1 for truth in found.by_name.values())]
    if unknown := [kind for kind in kinds if kind not in there]:
        raise OverreadError(f"No image is of kind '{unknown[0]}'; there are {', '.join(there)}.", "correct --unpaired")
    kept, why_not = {}, dict(found.why_not)
    for name, truth in found.by_name.items():
        if any(truth.values.get(kind) == 1 for kind in kinds):
            kept[name] = replace(truth, values={kind: truth.values[kind] for kind in kinds})
        else:
            why_not[name] = "of another kind than the two that were named"
    return replace(found, by_name=kept, why_not=why_not, question=replace(found.question, classes=tuple(kinds)))


def kinds_of(said: Said, drafts: Sequence[Draft], truths: Truths) -> list[str]:
    """The kind of each image, where there are two without pairs; else none."""
    if not said.unpaired:
        return []
    return [next(kind for kind in said.unpaired if truths.by_name[d.name].values[kind] == 1) for d in drafts]


def _where_classes_stand(said: Said, drafts: Sequence[Draft], joined: Joined | None) -> tuple[str, tuple[str, ...]]:
    if said.labels:
        ask.assert_sheet(joined)
        assert joined is not None
        return "sheet", tuple(joined.sheet.find(column) for column in said.labels)
    if any(d.label is not None for d in drafts):
        return "layout", ()
    word, what = ("--unpaired", "kind") if said.unpaired else ("--by-class", "class")
    raise OverreadError(
        f"{word} needs the {what} of each image, and neither folders nor an archive tell it.",
        f"name its column with --sheet FILE --label COLUMN, or leave {word} out",
    )


def refuse_other_truth(said: Said, has_truth: bool) -> None:
    """Masks, labels and what belongs to them have no place here; nor has what belongs to another of these tasks."""
    if said.by_mask and said.by_class:
        raise OverreadError("Images are made by class or along masks; both were asked for.", "leave --by-class or --by-mask out")
    if (has_truth and not said.by_mask) or (said.labels and not said.by_class and not said.unpaired):
        word = "--truth" if has_truth else "--label"
        told = {"synthesize": "--by-mask"} if has_truth else {"synthesize": "--by-class", "translate": "--unpaired"}
        more = f", or say {told[str(said.task)]}" if said.task in told else ""
        raise OverreadError(f"--task {said.task} learns from the images alone, and {word} was given.", f"leave {word} out{more}")
    for given, word, task in (
        (said.degradation, "--degradation", "restore"),
        (said.answer, "--answer", "translate"),
        (said.by_class, "--by-class", "synthesize"),
    ):
        if given and said.task != task:
            raise OverreadError(f"{word} belongs to --task {task}, not to {said.task}.", f"leave it out, or say --task {task}")


def assert_masks(masks: Truths | None) -> Truths:
    if masks is None:
        raise OverreadError(
            "--by-mask makes images along masks, and no masks were given.",
            "give their folder with --truth, or leave --by-mask out",
        )
    return masks


def of_images(
    said: Said, channels: Sequence[str], units: str, classes: Sequence[str] = (), masks: Question | None = None
) -> Question:
    """The question of images with these channels, in these units.

    classes  synthesize: those of which images can be asked for; without pairs: the two kinds
    masks    synthesize along masks: the question that these would answer
    """
    task = str(said.task)
    if task == "restore":
        _refuse_without_degradation(said)
        parse_degradation(said.degradation)
    if said.unpaired and said.answer:
        raise OverreadError(
            "--unpaired answers with all channels of the other kind, and --answer was given.", "leave one of the two out"
        )
    is_paired = task == "translate" and not said.unpaired
    given = _given(said, channels) if is_paired else tuple(channels)
    answered = said.answer if is_paired else tuple(channels)
    return Question(
        task,
        answered,
        units=_units_of(answered, channels, units),
        unit=said.unit or "exam",
        given=given if task in PICTURES else (),
        degradation=said.degradation,
        conditions=tuple(classes),
        guides=() if masks is None else masks.classes,
        values=() if masks is None else masks.values,
        sided=True if said.sided is None else said.sided,
    )


def _units_of(answered: Sequence[str], channels: Sequence[str], units: str) -> tuple[str, ...]:
    """Units by channel; images of several kinds (CT with PET) name those of every channel in turn."""
    each = units.split(", ") if ", " in units else [units] * len(channels)
    by_name = dict(zip(channels, each, strict=True))
    return tuple(by_name[name] for name in answered)


def _refuse_without_degradation(said: Said) -> None:
    if not said.degradation:
        raise OverreadError(
            "--task restore needs to know what was done to the images that will be read.",
            f"say it with --degradation, one such as {examples()}",
        )


def _given(said: Said, channels: Sequence[str]) -> tuple[str, ...]:
    listed = ", ".join(channels)
    if len(channels) < 2:
        raise OverreadError(
            f"To translate, each case needs at least two channels; these have one ({listed}).",
            "name the channels with --series, for example --series t1.file=T1 --series flair.file=FLAIR; where every image is of "
            "one of two kinds, say --unpaired KIND:KIND",
        )
    if not said.answer:
        raise OverreadError(
            f"Which channel shall be made from the others? The images have {listed}.", f"say for example --answer {channels[-1]}"
        )
    unknown = [name for name in said.answer if name not in channels]
    if unknown:
        raise OverreadError(f"The images have no channel '{unknown[0]}'; they have {listed}.", "correct --answer")
    given = tuple(name for name in channels if name not in said.answer)
    if not given:
        raise OverreadError("Every channel is to be answered, so none is left to be read.", "name fewer with --answer")
    return given
