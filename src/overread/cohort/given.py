"""A split that came with the data: a file of ours, of nnU-Net's, a table, a column of the sheet, or the folders themselves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.cohort.columns import SPLIT_NAME, plain
from overread.cohort.draft import Draft
from overread.cohort.gather import Gathered, Images
from overread.cohort.match import match
from overread.cohort.names import partition_of
from overread.cohort.sheet import read_sheet
from overread.core.errors import OverreadError

FORMS = (
    '{"folds": [[ids], ...]}, {"training": [ids], "tuning": [ids], "internal": [ids]}, '
    'a list of {"train": [ids], "val": [ids]} (nnU-Net), '
    "or a table with an id column and a split column"
)


@dataclass(frozen=True)
class Given:
    """A given split.

    place   position of the draft -> "training", "tuning" or "internal", or the number of its fold
    source  where it came from, in words
    """

    scheme: str  # "partitions" or "folds"
    place: Mapping[int, str | int]
    source: str
    unknown: tuple[str, ...] = ()


def given_split(splits: str | Path | None, gathered: Gathered | Images) -> Given | None:
    """The split that the user names, else the one that the folders or the archive give; None where there is neither.

    splits  a file, a column of the sheet, or "none" to pass over the split that the data bring along
    """
    drafts = gathered.drafts
    if splits is not None and str(splits).casefold() == "none":
        return None
    if splits is None:
        place = {k: d.partition for k, d in enumerate(drafts) if d.partition is not None}
        return Given("partitions", place, "as distributed") if len(set(place.values())) > 1 else None
    if Path(splits).is_file():
        return _from_file(Path(splits), drafts)
    if gathered.joined is None:
        raise OverreadError(
            f"The split {splits} is no file, and there is no sheet whose column it could be.",
            "give a JSON or CSV file with --splits",
        )
    column = gathered.joined.sheet.find(str(splits))
    words = {k: cell for k, cell in enumerate(gathered.column(column)) if cell is not None}
    return _named(words, f"column '{column}' of the sheet", ())


def _from_file(path: Path, drafts: Sequence[Draft]) -> Given:
    listed: dict[str, str] = {}
    for name, place in _listed(path):
        if listed.get(name, place) != place:
            raise OverreadError(
                f"The split {path.name} puts '{name}' in two places, {listed[name]} and {place}.", "name every case once"
            )
        listed[name] = place
    names = list(listed)
    found = match(names, [d.aliases for d in drafts], what="entry of the split")
    if not found.joined:
        raise OverreadError(
            f"No entry of the split {path.name} matches an image: entries are called {', '.join(names[:3])}, images "
            f"{', '.join(d.name for d in drafts[:3])}.",
            "write the split with the names of the images",
        )
    words = {d: listed[names[k]] for k, d in found.joined.items()}
    return _named(words, f"file {path.name}", tuple(names[k] for k in found.unmatched))


def _listed(path: Path) -> list[tuple[str, str]]:
    """(name, place) of every entry in a split file."""
    if path.suffix.lower() != ".json":
        return _from_table(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise OverreadError(f"The split {path.name} is not valid JSON: {error}.", "correct the file") from error
    if isinstance(content, dict) and isinstance(content.get("folds"), list):
        return [(str(name), str(k)) for k, fold in enumerate(content["folds"]) for name in fold]
    if isinstance(content, list) and all(isinstance(f, dict) and "val" in f for f in content) and content:
        return [(str(name), str(k)) for k, fold in enumerate(content) for name in fold["val"]]
    if isinstance(content, dict) and all(partition_of(k) for k, v in content.items() if isinstance(v, list)):
        pairs = [(str(name), k) for k, v in content.items() if isinstance(v, list) for name in v]
        if pairs:
            return pairs
    raise _not_understood(path)


def _from_table(path: Path) -> list[tuple[str, str]]:
    sheet = read_sheet(path)
    for column in sheet.columns:
        cells = sheet.column(column)
        known = [c for c in cells if c is not None]
        if known and (
            all(partition_of(c) for c in known) or (column.casefold().startswith("fold") and all(c.isdecimal() for c in known))
        ):
            others = [c for c in sheet.columns if c != column]
            if not others:
                break
            return [(name, place) for name, place in zip(sheet.column(others[0]), cells, strict=True) if name and place]
    named = [c for c in sheet.columns if SPLIT_NAME.search(plain(c))]
    if len(named) == 1 and len(sheet.columns) > 1:  # one of its words is strange, which the caller says
        name = next(c for c in sheet.columns if c != named[0])
        return [(n, place) for n, place in zip(sheet.column(name), sheet.column(named[0]), strict=True) if n and place]
    raise _not_understood(path)


def _not_understood(path: Path) -> OverreadError:
    return OverreadError(f"The split {path.name} is not in a form that is understood.", f"write it as {FORMS}")


def _named(words: Mapping[int, str], source: str, unknown: tuple[str, ...]) -> Given:
    if all(w.isdecimal() for w in words.values()):
        folds = {k: int(w) for k, w in words.items()}
        lowest = min(folds.values())
        return Given("folds", {k: f - lowest for k, f in folds.items()}, source, unknown)
    place: dict[int, Any] = {k: partition_of(w) for k, w in words.items()}
    strange = Counter(words[k] for k, p in place.items() if p is None)
    if strange:
        raise OverreadError(
            f"The split ({source}) calls a part '{next(iter(strange))}'; train, val and test, or training, tuning and internal "
            "were expected.",
            "rename the parts",
        )
    return Given("partitions", place, source, unknown)
