"""Plain files as cases: one image each, or the channels of one case; what fits none, and who lacks one, is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from overread.cohort import names
from overread.cohort.draft import Draft, LeftOut, Step
from overread.cohort.file_channels import Grouped, group_files, refuse_no_channel
from overread.cohort.match import without_suffix
from overread.cohort.rules import ImageRules, Rule, in_words
from overread.cohort.series import mark_missing
from overread.core.case import ImageReference
from overread.core.errors import OverreadError
from overread.imaging.found import Found


def cases_of_files(found: Sequence[Found], channels: Mapping[str, Rule], rules: ImageRules) -> tuple[list[Draft], list[Step]]:
    """Files as cases; where there are channels, what fits none and who lacks one are left out with the reason."""
    by_path = {f.files[0]: f for f in found}
    if not channels:
        images = {without_suffix(f.files[0]): {"image": ImageReference("image", f.format, f.files, f.index)} for f in found}
        if len(images) < len(found):  # a.png beside a.jpg: two cases
            images = {f.files[0]: {"image": ImageReference("image", f.format, f.files, f.index)} for f in found}
        return [_file_draft(case, references, by_path) for case, references in images.items()], []
    grouped = group_files(found, channels)
    if not grouped.cases:
        raise refuse_no_channel(found, channels)
    drafts, out = [], [LeftOut(path, "the file fits no channel") for path in grouped.strangers]
    reference = next(iter(channels))
    for case, files in grouped.cases.items():
        lacking = [c for c in channels if c not in files]
        if reference in lacking or (lacking and rules.missing == "refuse"):
            kind = "reference channel" if reference in lacking else "channel"
            out.append(LeftOut(case, f"{kind} missing ({', '.join(lacking)})"))
            continue
        images_of = {c: files.get(c, ImageReference(c, "missing", ())) for c in channels}
        drafts.append(mark_missing(_file_draft(case, images_of, by_path)))
    absent = [c for c in channels if all(c not in files for files in grouped.cases.values())]
    if not drafts or absent:  # a channel that nobody has is a wrong pattern, whatever is done where one is missing
        raise _never_complete(grouped, channels)
    return drafts, [Step("all channels there", len(drafts), tuple(out))] if len(channels) > 1 or out else []


def _never_complete(grouped: Grouped, channels: Mapping[str, Rule]) -> OverreadError:
    having = {c: sum(c in files for files in grouped.cases.values()) for c in channels}
    counts = ", ".join(f"{c} ({in_words(rule)}) in {having[c]}" for c, rule in channels.items())
    some = ", ".join(list(grouped.cases)[:3])
    return OverreadError(
        f"None of {len(grouped.cases)} cases has all channels: {counts}. Cases are called for example {some}.",
        "correct the patterns under images.channels: what is left of the names must be the same for all files of a case"
        + ("" if 0 in having.values() else '; or say images.missing = "zeros"'),
    )


def case_of(draft: Draft) -> str:
    """The path of a case without channel and suffix."""
    return draft.aliases[1] if len(draft.images) == 1 else draft.name


def _file_draft(case: str, images: Mapping[str, ImageReference], by_path: Mapping[str, Found]) -> Draft:
    """A case of files. With one channel it is called like its file, with several like the case, whichever are there."""
    files = list(dict.fromkeys(path for i in images.values() for path in i.files))
    first = by_path[files[0]]
    side, base = names.side_of(names.stem(case))
    one = files[0] if len(images) == 1 else None
    return Draft(
        one or case,
        tuple(dict.fromkeys([one, case] if one else [case, *files])),
        tuple(images.values()),
        patient=first.patient,
        exam=first.study or (base if side else None),
        exam_aliases=(base,) if side else (),
        side=side,
        attributes=dict(first.attributes),
    )
