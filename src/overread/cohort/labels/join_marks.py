"""Label files of pictures joined to images: by the names that they give them."""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from overread.cohort.draft import Draft
from overread.cohort.labels.drawn import Address
from overread.cohort.labels.exchanged import Shaped, against_shape_note, exchanged_in_words, exchanged_note
from overread.cohort.labels.marks import Mark, MarkedImage, MarkFile, fit
from overread.cohort.labels.objects import Drawing, Objects
from overread.cohort.labels.odd_marks import Placed, crossing_note, refuse_turned
from overread.cohort.labels.recognise import NAMES, LabelFiles, read_labels
from overread.cohort.match import Match, match
from overread.core.errors import OverreadError, Refused
from overread.imaging.scan import scan_file

SHOWN = 5
LABEL_FOLDERS = {"labels": "images", "annotations": "images", "Annotations": "JPEGImages"}


@dataclass(frozen=True)
class Named:
    """A picture in a label file, and the path by which its image is looked for."""

    file: str
    image: MarkedImage
    path: str


def _refuse_scored(marks: Sequence[Mark], what: str) -> None:
    """An outline with an odd number of numbers was read as one with a score: right for an answer, and damage in a truth."""
    scored = [mark for mark in marks if mark.outlines and mark.score != 1]
    if scored:
        raise Refused(
            "damaged-outline",
            f"{what}: an outline of '{scored[0].class_name}' has a score ({scored[0].score:g}), or has lost a number; a truth "
            "was expected.",
            "give the labels of a reader; a model's answers are scored by `overread evaluate --answers`",
        )


def join_marks(labels: LabelFiles, drafts: Sequence[Draft], images_folder: Path, *, leave_out: bool = False) -> Objects:
    """Every label file, read, checked against the size of its image and joined.

    leave_out  images whose labels do not fit are left out instead of stopping everything
    """
    root = labels.folder
    extra = root / labels.extra if labels.extra and root.is_dir() else root.parent / labels.extra if labels.extra else None
    read = {name: read_labels(labels.form, root / name, extra) for name in labels.files}
    named = [Named(name, image, _path(labels.form, name, root, image)) for name, file in read.items() for image in file.images]
    things, places = _things(drafts)
    joined, rules, readers = _joined(named, things)
    size_of = _sizes(drafts, images_folder)

    def exchanged() -> str:
        return exchanged_in_words((named[m].image, size_of(places[t][0])) for m, t in joined.items())

    drawn: dict[str, dict[str, list[tuple[Named, int | None, tuple[Mark, ...]]]]] = defaultdict(lambda: defaultdict(list))
    refused: dict[str, str] = {}
    counts: Counter[str] = Counter()
    every: list[Placed] = []
    shaped: list[Shaped] = []
    for n, thing in joined.items():
        draft, where = places[thing]
        item = named[n]
        where = item.image.slice if where is None and _is_volume(drafts[draft]) else where
        try:
            what = f"{drafts[draft].name} ({item.file if item.file != '.' else root.name})"
            marks = fit(item.image, size_of(draft), what)
            _refuse_scored(marks, what)
        except Refused as fault:
            if not leave_out:
                told = exchanged()
                raise Refused(fault.code, f"{fault.what} {told}".strip(), fault.next) from None
            refused[drafts[draft].name] = f"refused: {fault.code}"
            continue
        shaped.append(Shaped(size_of(draft), marks, item.image.relative))
        every += [Placed(mark, drafts[draft].name) for mark in marks]
        counts.update("outlines" if mark.has_area else "boxes" for mark in marks)
        for reader in item.image.readers or ("",):
            own = tuple(mark for mark in marks if mark.reader == reader)
            drawn[drafts[draft].name][reader or readers.get(n, "")].append((item, where, own))
    tail = (labels.extra,) if labels.extra and root.is_dir() else ()
    by_name = {
        name: tuple(_drawing(reader, parts, tail) for reader, parts in sorted(own.items()))
        for name, own in drawn.items()
        if name not in refused
    }
    title = NAMES[labels.form]
    refuse_turned(every, title)
    reached = sum(rules.values())
    return Objects(
        labels.form,
        title,
        root,
        _classes(labels.form, read),
        by_name,
        counts["boxes"],
        counts["outlines"],
        refused,
        (_matched(title, reached, rules, counts, readers),) if reached else (),
        _unknown(named, joined),
        (
            *crossing_note(every, title),
            *exchanged_note(every),
            *against_shape_note(shaped),
            *((f"WARNING: {told}",) if refused and (told := exchanged()) else ()),
            *tuple(dict.fromkeys(note for file in read.values() for note in file.notes))[:SHOWN],
        ),
    )


def _path(form: str, file: str, root: Path, image: MarkedImage) -> str:
    """Where the image would lie beside its labels."""
    folder = posixpath.dirname(file if file != "." else root.name)
    if form == "yolo":
        stem = (file if file != "." else root.name).rpartition(".")[0]
        parts = stem.split("/")
        for k in range(len(parts) - 2, -1, -1):
            if parts[k] in LABEL_FOLDERS:
                parts[k] = LABEL_FOLDERS[parts[k]]
                break
        return "/".join(parts)
    name = image.name.replace("\\", "/")
    return posixpath.normpath(posixpath.join(folder, name)).lstrip("./") or name


def _things(drafts: Sequence[Draft]) -> tuple[list[tuple[str, ...]], list[tuple[int, int | None]]]:
    """What a label may name: an image, or one slice of a DICOM series by its file; with (draft, slice)."""
    things: list[tuple[str, ...]] = []
    places: list[tuple[int, int | None]] = []
    for k, draft in enumerate(drafts):
        first = draft.images[0]
        is_series = first.format == "dicom" and len(first.files) > 1
        things.append(tuple(name for name in draft.aliases if not (is_series and name in first.files)))
        places.append((k, None))
        if is_series:
            for position, file in enumerate(first.files):
                things.append((file,))
                places.append((k, position))
    return things, places


def _is_volume(draft: Draft) -> bool:
    return draft.images[0].format not in ("raster", "npz") and len(draft.images[0].files) == 1


def _joined(named: Sequence[Named], things: Sequence[Sequence[str]]) -> tuple[dict[int, int], dict[str, int], dict[int, str]]:
    """Position of the label -> position of the thing, rules, and the reader where folders are readers.

    Two labels of one image are two readers where each lies in a folder of its own and every folder fits by itself.
    """
    try:
        found, rules = _match(named, range(len(named)), things)
        return found, rules, {}
    except OverreadError:
        groups: dict[str, list[int]] = defaultdict(list)
        for k, item in enumerate(named):
            groups[item.file.partition("/")[0] if "/" in item.file else Path(item.file).stem].append(k)
        if len(groups) < 2:
            raise
        joined: dict[int, int] = {}
        total: Counter[str] = Counter()
        readers: dict[int, str] = {}
        for reader, members in groups.items():
            found, rules = _match(named, members, things)
            joined |= found
            total.update(rules)
            readers |= dict.fromkeys(found, reader)
        return joined, dict(total), readers


def _match(
    named: Sequence[Named], members: Sequence[int], things: Sequence[Sequence[str]]
) -> tuple[dict[int, int], dict[str, int]]:
    """Slices of one volume share a file name, so names are matched once and given to all of them."""
    paths = list(dict.fromkeys(named[k].path for k in members))
    result: Match = match(paths, things, what="labelled image")
    by_path = {paths[p]: t for p, t in result.joined.items()}
    found = {k: by_path[named[k].path] for k in members if named[k].path in by_path}
    seen: dict[tuple[str, int | None], Named] = {}
    for k in members:
        item = named[k]
        key = (item.path, item.image.slice)
        if k in found and key in seen:
            raise OverreadError(
                f"Two labels are about one image, '{item.image.name}': in {seen[key].file} and {item.file}.",
                "keep one; labels of several readers go into a folder for each reader",
            )
        seen[key] = item
    return found, result.rules


def _sizes(drafts: Sequence[Draft], folder: Path) -> Callable[[int], tuple[int, int]]:
    """(Y, X) of a draft's slices, from its header."""
    known: dict[int, tuple[int, int]] = {}

    def size_of(draft: int) -> tuple[int, int]:
        if draft not in known:
            first = drafts[draft].images[0]
            found = scan_file(folder / first.files[0])
            item = next((f for f in found if f.index == first.index), found[0])
            if item.shape is None:
                what = f"{drafts[draft].name}: its header does not say how large it is."
                raise Refused("no-size", what, "give labels as masks")
            known[draft] = (item.shape[1], item.shape[2])
        return known[draft]

    return size_of


def _drawing(reader: str, parts: Sequence[tuple[Named, int | None, tuple[Mark, ...]]], tail: tuple[str, ...]) -> Drawing:
    files = list(dict.fromkeys(item.file for item, _, _ in parts))
    addresses = tuple(Address(files.index(item.file), item.image.key, where) for item, where, _ in parts)
    present = frozenset(mark.class_name for _, _, marks in parts for mark in marks)
    return Drawing((*files, *tail), addresses, present, reader=reader)


def _classes(form: str, read: Mapping[str, MarkFile]) -> tuple[str, ...]:
    """Declared ones in their order; where each file knows only its own, all of them by alphabet."""
    lists = [file.classes for file in read.values()]
    if form in ("coco", "yolo"):
        return tuple(dict.fromkeys(name for classes in sorted(lists, key=len, reverse=True) for name in classes))
    return tuple(sorted({name for classes in lists for name in classes}, key=str.casefold))


def _matched(title: str, reached: int, rules: Mapping[str, int], counts: Counter[str], readers: Mapping[int, str]) -> str:
    how = ", ".join(f"{n} by {rule}" for rule, n in rules.items())
    about = f"{counts['outlines']} outlines, {counts['boxes']} boxes"
    who = f"; readers: {', '.join(sorted(set(readers.values())))}" if readers else ""
    return f"{title} labels: {reached} images joined ({how}); {about}{who}"


def _unknown(named: Sequence[Named], joined: Mapping[int, int]) -> tuple[str, ...]:
    names = list(dict.fromkeys(item.image.name for k, item in enumerate(named) if k not in joined))
    lines = [f"labelled image '{name}': no usable image is called so" for name in names[:SHOWN]]
    return (*lines, *((f"and {len(names) - SHOWN} more labelled images",) if len(names) > SHOWN else ()))
