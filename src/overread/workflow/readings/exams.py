"""What lies in the studies that are given to `overread read`: exams, each with the images that the model wants.

Images are chosen by the rules that chose them in training; they stand in the model file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from overread.cohort.draft import Draft
from overread.cohort.file_channels import told_by_name
from overread.cohort.layouts import series_draft
from overread.cohort.rules import ImageRules, image_rules, in_words
from overread.cohort.series import exams_of, pick
from overread.core.case import ImageReference
from overread.core.errors import OverreadError, Refused
from overread.imaging.found import Found
from overread.imaging.scan import scan, scan_file
from overread.reading.model import ModelCard

ONE_FILE = ("red", "channel_0")  # first channel of a picture in colour, or of a file with several volumes


@dataclass(frozen=True)
class Exam:
    """One thing to read.

    name        of its answers
    folder      references are relative to it
    references  its images, one per channel, the reference first
    source      the folder that its images lie in
    chosen      channel -> the image in words: its file, or the description of its series
    notes       what is to be said of the choice
    refusal     why there is nothing to read; None where there is
    clinical    what is known of the patient: by default what the header of a DICOM image says, age and sex
    draft       by what names a sheet may call it; None where its files alone tell
    """

    name: str
    folder: Path
    references: tuple[ImageReference, ...]
    gaps: str = "refuse"
    tilt: str = "refuse"
    chosen: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()
    refusal: OverreadError | None = None
    source: str = ""
    clinical: Mapping[str, Any] = field(default_factory=dict)
    draft: Draft | None = None


def rules_of(card: ModelCard, series: Mapping[str, str] | None = None) -> ImageRules:
    """The rules of a model, some lines of them replaced.

    series  field -> pattern, or "channel.field" -> pattern: for studies whose series are called otherwise than in training
    """
    names = card.preparation.channels
    if "images" in card.reading:
        rules = ImageRules.from_dict(card.reading["images"])
    elif len(names) == 1 or names[0] in ONE_FILE:
        rules = ImageRules()
    else:
        rules = ImageRules(channels={name: {"file": name} for name in names})
    if not series:
        return rules
    said = image_rules(series, {})
    unknown = [c for c in said.channels if c not in names]
    if unknown:
        raise OverreadError(f"The model has no channel '{unknown[0]}'.", f"its channels are {', '.join(names)}")
    channels = {**rules.channels, **said.channels}
    return replace(rules, series=said.series or rules.series, channels={c: channels[c] for c in names if c in channels})


def exams_in(paths: Sequence[Path], card: ModelCard, series: Mapping[str, str] | None = None) -> Iterator[Exam]:
    """The exams under some files and folders, each under a name of its own."""
    rules = rules_of(card, series)
    yield from _told_apart([exam for folder, found in _places(paths, rules) for exam in _whole_and_faulty(folder, found, rules)])


def _whole_and_faulty(folder: Path, found: Sequence[Found], rules: ImageRules) -> Iterator[Exam]:
    """Exams of what can be read; a study that has nothing else is named with what is wrong with it: missing slices, a tilt."""
    whole = [f for f in found if f.is_eligible]
    yield from _exams(folder, whole, rules)
    for each in found:
        if not each.is_eligible and each.study not in {f.study for f in whole}:
            about = each.attributes
            refusal = Refused(str(about["code"]), str(about["ineligible"]), str(about.get("next", "give the images themselves")))
            yield Exam(_safe(each), folder, (), refusal=refusal, source=_source(folder, each.files))


def _told_apart(exams: Sequence[Exam]) -> Iterator[Exam]:
    """Names of their own: exams that are called alike get the name of the folder that differs before it, or a number."""
    alike: dict[str, list[str]] = defaultdict(list)
    for exam in exams:
        alike[exam.name].append(exam.source)
    folders = {name: _differing(sources) for name, sources in alike.items() if len(sources) > 1}
    taken = set[str]()
    for exam in exams:
        folder = folders.get(exam.name, {}).get(exam.source, "")
        name = _safe_name(f"{folder}_{exam.name}") if folder else exam.name
        unique, number = name, 1
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique)
        yield replace(exam, name=unique)


def _places(paths: Sequence[Path], rules: ImageRules) -> Iterator[tuple[Path, list[Found]]]:
    """Folders with what was found in them; files that may be channels of one exam together, in whatever order they were given."""
    files: dict[Path, list[Found]] = defaultdict(list)
    for path in paths:
        if not path.exists():
            raise OverreadError(f"There is nothing at {path}.", "check the path")
        if path.is_dir():
            found = [f for f in scan(path, gaps=rules.gaps, tilt=rules.tilt).found if _is_image(f)]
        else:
            found = list(scan_file(path, gaps=rules.gaps, tilt=rules.tilt))
        if not found:
            raise OverreadError(f"{path} holds no image that can be read.", "give DICOM, NIfTI, PNG, JPEG, TIFF or .npz images")
        if path.is_file() and len(rules.channels) > 1:
            files[path.parent.resolve()] += [f for f in found if f not in files[path.parent.resolve()]]
        else:
            yield (path if path.is_dir() else path.parent), found
    for folder, found in files.items():
        yield folder, sorted(found, key=lambda f: f.files)


def _is_image(found: Found) -> bool:
    """Whole, or an image with a fault that somebody can mend; not a localizer, a report or a segmentation."""
    return found.is_eligible or "next" in found.attributes


def _exams(folder: Path, found: Sequence[Found], rules: ImageRules) -> Iterator[Exam]:
    series = [f for f in found if f.format == "dicom"]
    files = [f for f in found if f.format != "dicom"]
    yield from _of_series(folder, series, rules)
    if files and len(rules.channels) > 1:
        yield from _of_files(folder, files, rules)
    else:
        for each in files:
            yield _alone(folder, each, rules)


def _alone(folder: Path, found: Found, rules: ImageRules) -> Exam:
    """One image, one exam."""
    rule = next(iter(rules.channels.values()), {})
    reference = ImageReference(found.name, found.format, found.files, found.index)
    if "volume" in rule and int(found.attributes.get("components", 1)) > 1:
        reference = replace(reference, index=int(rule["volume"]) if rule["volume"].isdigit() else None)
    draft = series_draft(found) if found.format == "dicom" else None
    known = {} if draft is None else draft.covariates
    source = _source(folder, found.files)
    return Exam(_safe(found), folder, (reference,), rules.gaps, rules.tilt, source=source, clinical=known, draft=draft)


def _differing(sources: Sequence[str]) -> dict[str, str]:
    """Source -> the part of its path, as far below as possible, that no other has; empty where no part tells all apart."""
    parts = [Path(source).parts for source in sources]
    for depth in range(1, min(map(len, parts)) + 1):
        words = [p[-depth] for p in parts]
        if len(set(words)) == len(words):
            return dict(zip(sources, words, strict=True))
    return {}


# ---- DICOM ------------------------------------------------------------------------------------------


def _of_series(folder: Path, found: Sequence[Found], rules: ImageRules) -> Iterator[Exam]:
    wanted = replace(rules, channels={c: {n: p for n, p in r.items() if n != "file"} for c, r in rules.channels.items()})
    if len(wanted.channels) <= 1 and not any(wanted.for_series.values()):
        for each in found:
            yield _alone(folder, each, rules)
        return
    by_name = {}
    drafts = []
    for each in found:
        draft = series_draft(each)
        while draft.name in by_name:
            draft = replace(draft, name=f"{draft.name} #")
        by_name[draft.name] = each
        drafts.append(draft)
    for members in exams_of(drafts):
        yield _picked(folder, members, by_name, wanted)


def _picked(folder: Path, members: Sequence[Draft], by_name: Mapping[str, Found], rules: ImageRules) -> Exam:
    """The exam of some series; what the rules do not decide is a refusal and not a guess."""
    first = by_name[members[0].name]
    silent = [c for c, rule in rules.channels.items() if not rule and len(rules.channels) > 1]
    if silent:
        refusal = Refused(
            "no-series-rule",
            f"the model tells its channels apart by the names of files, and this is a DICOM study; no rule says which series is "
            f"{' or '.join(silent)}.",
            f"say it, e.g. --series {silent[0]}.description='*{silent[0]}*'",
        )
        return Exam(_safe(first), folder, (), refusal=refusal, source=_source(folder, first.files))
    picked = pick(members, rules)
    if picked.draft is None:
        return Exam(_safe(first), folder, (), refusal=picked.refusal, source=_source(folder, first.files))
    chosen = {c: _series_in_words(by_name[d.name]) for c, d in picked.members.items()}
    first = by_name[next(iter(picked.members.values())).name]
    notes: tuple[str, ...] = ()
    if len(members) > len(chosen):
        lines = "; ".join(f"{c}: {in_words(r)}" for c, r in rules.for_series.items())
        notes = (f"of {len(members)} series, {', '.join(chosen.values())} chosen by the rule of the training ({lines})",)
    source = _source(folder, first.files)
    made = Exam(_safe(first), folder, picked.draft.images, rules.gaps, rules.tilt, chosen, notes, source=source)
    return replace(made, clinical=picked.draft.covariates, draft=picked.draft)


def _source(folder: Path, files: Sequence[str]) -> str:
    """Where images lie, for whoever has to find the exam of an answer."""
    return str((folder / files[0]).parent.resolve())


def _series_in_words(found: Found) -> str:
    return ", ".join(str(part) for part in (found.name, found.attributes.get("volume")) if part)


# ---- files ------------------------------------------------------------------------------------------


def _of_files(folder: Path, found: Sequence[Found], rules: ImageRules) -> Iterator[Exam]:
    grouped = told_by_name(found, rules.channels)
    if grouped is None:
        names = list(rules.channels)
        refusal = Refused(
            "no-channel-name",
            f"the model reads {len(names)} images of an exam ({', '.join(names)}), and no file's name says which it is.",
            f"end the names with {', '.join('_' + n for n in names)} or with _0000, _0001 ... in this order; "
            f"for volumes of one file say --series {names[0]}.volume=0 and so on",
        )
        for each in found:
            yield Exam(_safe(each), folder, (), refusal=refusal, source=_source(folder, each.files))
        return
    rest = tuple(f"{path} was not read: its name fits no channel" for path in grouped.strangers)
    for case, files in grouped.cases.items():
        name = _safe_name(Path(case).name or folder.resolve().name)
        source = _source(folder, next(iter(files.values())).files)
        lacking = [c for c in rules.channels if c not in files]
        reference = next(iter(rules.channels))
        if reference in lacking or (lacking and rules.missing == "refuse"):
            what = f"{'reference channel' if reference in lacking else 'channel'} missing ({', '.join(lacking)})"
            refusal = Refused("channel-missing", what, "give all images of the exam")
            yield Exam(name, folder, (), refusal=refusal, notes=rest, source=source)
            continue
        references = tuple(files.get(c, ImageReference(c, "missing", ())) for c in rules.channels)
        chosen = {i.channel: _file_in_words(i) for i in references if i.files}
        yield Exam(name, folder, references, rules.gaps, rules.tilt, chosen, rest, source=source)


def _file_in_words(image: ImageReference) -> str:
    return image.files[0] if image.index is None else f"{image.files[0]}, volume {image.index}"


def _safe(found: Found) -> str:
    """A file name for the answers of an image: its own name."""
    return _safe_name(found.name if found.index is None else f"{found.name}-{found.index}")


def _safe_name(name: str) -> str:
    """A name without what a file system dislikes."""
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).strip("._")
    return kept or "study"
