"""Files of one case: which is which channel, by their names, or by the volumes inside one file.

The pattern of a file's name is, without its suffix and whatever the case of its letters:

    _flair, _0000   the end of the name; the rest of the name is the case
    flair_          the beginning of the name; the folder is the case
    flair           either of the two, or the whole name
    FLAIR_*_3T      a pattern: what the stars stand for is the case (in its folder)
    flair/*         a pattern with folders, from the folder upwards: the same
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from overread.cohort import names
from overread.cohort.match import without_suffix
from overread.cohort.patterns import fits, glob
from overread.cohort.rules import FILE_FIELDS, FILES_NEXT, Rule, in_words
from overread.core.case import ImageReference
from overread.core.errors import OverreadError, Refused
from overread.imaging.found import Found

SEPARATORS = "_-. "
SHOWN = 3


@dataclass(frozen=True)
class Grouped:
    """Files by case.

    cases      case -> channel -> its file, or a volume of it
    strangers  files that fit no channel
    """

    cases: Mapping[str, Mapping[str, ImageReference]]
    strangers: tuple[str, ...]


def group_files(found: Sequence[Found], channels: Mapping[str, Rule]) -> Grouped:
    """Group files by case and channel; a file that fits two channels, or two files for one, are refused by name."""
    _refuse_fields(channels)
    cases: dict[str, dict[str, ImageReference]] = defaultdict(dict)
    strangers = []
    for item in found:
        hits = {c: hit for c, rule in channels.items() if (hit := _fit(item, rule)) is not None}
        if not hits:
            strangers.append(item.files[0])
        if len({volume for _, volume in hits.values()}) < len(hits):
            raise Refused(
                "two-channels-one-file",
                f"The file {item.files[0]} fits the rules of {len(hits)} channels: {', '.join(hits)}.",
                "make the patterns under images.channels more exact, e.g. with _ before the word",
            )
        for channel, (case, volume) in hits.items():
            before = cases[case].get(channel)
            if before is not None:
                raise Refused(
                    "two-files-one-channel",
                    f"Two files of the case {case} fit the channel '{channel}': {before.files[0]} and {item.files[0]}.",
                    "make the pattern of the channel more exact, or take one of the two out of the folder",
                )
            cases[case][channel] = ImageReference(channel, item.format, item.files, volume if volume is not None else item.index)
    return Grouped(dict(cases), tuple(strangers))


def _refuse_fields(channels: Mapping[str, Rule]) -> None:
    for channel, rule in channels.items():
        other = [name for name in rule if name not in FILE_FIELDS]
        if other:
            raise OverreadError(
                f"images.channels.{channel} asks for {', '.join(other)}, which only DICOM series have; these are plain files.",
                FILES_NEXT,
            )


def _fit(item: Found, rule: Rule) -> tuple[str, int | None] | None:
    """(case, volume of the file or None for the whole) where a file fits a channel's rule."""
    case = case_name(item.files[0], rule.get("file", "*"))
    if case is None:
        return None
    if "volume" not in rule:
        return case, None
    count = int(item.attributes.get("components", 1))
    hits = [k for k in range(count) if fits(str(k), rule["volume"])] if count > 1 else []
    if len(hits) > 1:
        raise Refused(
            "several-volumes",
            f"{len(hits)} of the {count} volumes of {item.files[0]} fit volume = '{rule['volume']}'.",
            "name one volume for each channel, counted from 0",
        )
    return (case, hits[0]) if hits else None


def case_name(path: str, pattern: str) -> str | None:
    """The case of a file that fits a channel's pattern; None where it does not fit."""
    place = without_suffix(path.replace("\\", "/"))
    folder, _, stem = place.rpartition("/")
    wanted, name = pattern.strip().casefold(), stem.casefold()
    if "*" in wanted or "?" in wanted or "/" in wanted:
        return _by_glob(place, folder, stem, wanted)
    word = wanted.strip(SEPARATORS)
    if not word:
        return None
    at_end = wanted[0] in SEPARATORS or wanted[-1] not in SEPARATORS
    at_start = wanted[-1] in SEPARATORS or wanted[0] not in SEPARATORS
    if at_end and name.endswith(word) and name[: -len(word)][-1:] and name[: -len(word)][-1:] in SEPARATORS:
        return _joined(folder, stem[: -len(word) - 1])
    if at_start and name.startswith(word) and name[len(word) :][:1] and name[len(word) :][:1] in SEPARATORS:
        return folder or None
    if name == word and (at_end or at_start):
        return folder or "."
    return None


def _by_glob(place: str, folder: str, stem: str, wanted: str) -> str | None:
    depth = wanted.count("/")
    parts = place.split("/")
    if len(parts) <= depth:
        return None
    text = "/".join(parts[-depth - 1 :]) if depth else stem
    hit = glob(wanted).fullmatch(text.casefold())
    if hit is None:
        return None
    captured = [text[slice(*hit.span(k))].strip(SEPARATORS) for k in range(1, len(hit.groups()) + 1)]
    base = "_".join(part for part in captured if part)
    above = "/".join(parts[: -depth - 1]) if depth else folder
    return _joined(above, base) if base else above or "."


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def propose_channels(paths: Sequence[str]) -> dict[str, dict[str, str]]:
    """Rules for files whose names end or begin with _0000 or with a usual word such as flair; empty where they stand alone."""
    cases, words = names.channels_of(paths)
    if words == ("image",):
        numbered = bool(paths) and all(names.NUMBERED.match(names.stem(p)) for p in paths)
        suffixes = {names.stem(p)[-5:] for p in paths}
        return {"image": {"file": suffixes.pop()}} if numbered and len(suffixes) == 1 else {}
    for form in ("_{}", "{}_"):
        rules = {word: {"file": form.format(word)} for word in words}
        fitting = [[case_name(p, r["file"]) for r in rules.values()] for p in paths]
        if all(sum(case in cases for case in row if case is not None) == 1 for row in fitting):
            return rules
    return {}


def told_by_name(found: Sequence[Found], channels: Mapping[str, Rule]) -> Grouped | None:
    """Files grouped by the channels' own rules, where these speak of files; else by _flair or flair_, or _0000 in their order.

    None where no file's name tells a channel.
    """
    own = [{c: dict(r) for c, r in channels.items()}] if all(set(r) <= set(FILE_FIELDS) for r in channels.values()) else []
    by_word = {c: {"file": c} for c in channels}
    by_number = {c: {"file": f"_{k:04d}"} for k, c in enumerate(channels)}
    for rules in (*own, by_word, by_number):
        grouped = group_files(found, rules)
        if grouped.cases:
            return grouped
    return None


def refuse_no_channel(found: Sequence[Found], channels: Mapping[str, Rule]) -> OverreadError:
    some = ", ".join(f.files[0] for f in found[:SHOWN])
    rules = "; ".join(f"{c}: {in_words(r)}" for c, r in channels.items())
    return OverreadError(
        f"No file fits a channel of [images.channels] ({rules}); files are called for example {some}.", FILES_NEXT
    )
