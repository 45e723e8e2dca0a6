"""Joining two lists of names that were never written for each other: sheet rows or masks to images. Nothing is renamed.

Rules are tried from the strictest to the loosest. A rule joins a name only where it points to exactly
one thing on the other side; where it points to several, that is an error and not a choice.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from overread.core.errors import OverreadError

SUFFIXES = (".nii.gz", ".nii", ".dcm", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".nrrd", ".npz", ".mha")
MASK_WORDS = {
    "seg",
    "segmentation",
    "segmentations",
    "mask",
    "masks",
    "label",
    "labels",
    "labelmap",
    "gt",
    "truth",
    "roi",
    "annotation",
}
IMAGE_WORDS = {"image", "images", "img", "volume", "ct", "mr", "0000"}


@dataclass(frozen=True)
class Match:
    """What was joined to what.

    joined     position of the name -> position of the thing
    rules      rule -> how many names it joined
    unmatched  positions of names that found nothing
    free       positions of things that nobody named
    """

    joined: dict[int, int]
    rules: dict[str, int]
    unmatched: tuple[int, ...]
    free: tuple[int, ...]


def without_suffix(name: str) -> str:
    lower = name.lower()
    for suffix in SUFFIXES:
        if lower.endswith(suffix):
            return name[: -len(suffix)]
    return name


def tokens(name: str) -> tuple[str, ...]:
    """Letters and numbers of a name, without case, separators and leading zeros: 'P-001' and 'p1' are alike."""
    return tuple(t.lstrip("0") or "0" if t.isdigit() else t for t in re.findall(r"[^\W\d_]+|\d+", name.casefold()))


def _stem(name: str) -> str:
    return without_suffix(name).rsplit("/", 1)[-1]


def _path(name: str) -> str:
    return name.replace("\\", "/").strip("/").removeprefix("./")


def _tails(name: str) -> list[str]:
    """Every ending of a path: a/b/c.png, b/c.png, c.png."""
    parts = _path(name).split("/")
    return ["/".join(parts[k:]) for k in range(len(parts))]


def undecorated(name: str) -> tuple[str, ...]:
    """Tokens without the words that only say what a file is (mask, label, image, 0000)."""
    parts = [p for p in re.split(r"[\W_]+", _stem(name)) if p]
    kept = [p for p in parts if p.casefold() not in MASK_WORDS | IMAGE_WORDS]
    return tokens("_".join(kept))


Rule = tuple[str, Callable[[str], Iterable[object]], Callable[[str], Iterable[object]]]
RULES: tuple[Rule, ...] = (
    ("same name", lambda n: [n], lambda n: [n]),
    ("same path or its end", lambda n: [_path(n)], _tails),
    ("same end of the path", _tails, lambda n: [_path(n)]),
    (
        "same path without the file's suffix",
        lambda n: [without_suffix(_path(n))],
        lambda n: [without_suffix(t) for t in _tails(n)],
    ),
    ("same file name without suffix", lambda n: [_stem(n)], lambda n: [_stem(n)]),
    ("same but for upper and lower case", lambda n: [_stem(n).casefold()], lambda n: [_stem(n).casefold()]),
    ("same but for zeros in front and separators", lambda n: [tokens(_stem(n))], lambda n: [tokens(_stem(n))]),
)
MASK_RULE: Rule = ("same but for words such as 'mask' or 'label'", lambda n: [undecorated(n)], lambda n: [undecorated(n)])
FOLDER_RULE: Rule = ("the only one in the same folder", lambda n: [_folder(n)], lambda n: [_folder(n)])


def _folder(name: str) -> str:
    return _path(name).rpartition("/")[0] or name


def match(
    names: Sequence[str],
    things: Sequence[Sequence[str]],
    *,
    what: str = "label",
    things_are: str = "images",
    rules: Sequence[Rule] = RULES,
) -> Match:
    """Join names to things.

    names   what stands in the sheet, or the files of masks; each joins at most one thing
    things  for each image every name by which it may be called
    what    how messages call a name
    """
    joined: dict[int, int] = {}
    how: Counter[str] = Counter()
    for title, of_name, of_thing in rules:
        waiting = [k for k in range(len(names)) if k not in joined]
        if not waiting:
            break
        keys = _keys(things, set(joined.values()), of_thing)
        found = {k: {t for key in of_name(names[k]) for t in keys.get(key, ()) if key != () and key != ""} for k in waiting}
        _refuse_ambiguous(title, names, things, found, what, things_are)
        for k, hits in found.items():
            if hits:
                joined[k] = next(iter(hits))
                how[title] += 1
        _refuse_shared(title, names, things, joined, what)
    taken = set(joined.values())
    return Match(
        joined,
        dict(how),
        tuple(k for k in range(len(names)) if k not in joined),
        tuple(k for k in range(len(things)) if k not in taken),
    )


def _keys(
    things: Sequence[Sequence[str]], taken: set[int], of_thing: Callable[[str], Iterable[object]]
) -> dict[object, set[int]]:
    keys: dict[object, set[int]] = defaultdict(set)
    for t, aliases in enumerate(things):
        if t not in taken:
            for alias in aliases:
                for key in of_thing(alias):
                    keys[key].add(t)
    return keys


def _refuse_ambiguous(
    title: str,
    names: Sequence[str],
    things: Sequence[Sequence[str]],
    found: dict[int, set[int]],
    what: str,
    things_are: str,
) -> None:
    for k, hits in found.items():
        if len(hits) > 1:
            some = ", ".join(repr(things[t][0]) for t in sorted(hits)[:3])
            raise OverreadError(
                f"The {what} '{names[k]}' fits {len(hits)} {things_are} ({title}): {some}{' ...' if len(hits) > 3 else ''}.",
                f"write in the sheet or file name what tells these {things_are} apart, e.g. the folder: '{things[min(hits)][0]}'",
            )


def _refuse_shared(title: str, names: Sequence[str], things: Sequence[Sequence[str]], joined: dict[int, int], what: str) -> None:
    owners: dict[int, list[int]] = defaultdict(list)
    for k, t in joined.items():
        owners[t].append(k)
    for t, ks in owners.items():
        if len(ks) > 1:
            raise OverreadError(
                f"Two {what}s fit one image, {things[t][0]} ({title}): '{names[ks[0]]}' and '{names[ks[1]]}'.",
                f"keep one {what} for each image",
            )
