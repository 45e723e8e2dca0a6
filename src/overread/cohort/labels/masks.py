"""Masks and the images they were drawn on: joined by name, by the UID that a SEG refers to, or by geometry."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from overread.cohort.draft import Draft
from overread.cohort.labels.images import Images
from overread.cohort.match import FOLDER_RULE, MASK_RULE, RULES, Match, match, tokens, undecorated
from overread.cohort.place import place_layers
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.imaging.dicom.seg_reading import refuse_other_frame, seg_facts
from overread.imaging.door import open_image
from overread.imaging.found import Found
from overread.imaging.labels import open_labels, open_seg
from overread.imaging.seg_nrrd import is_seg_nrrd

MASK_RULES = (*RULES, MASK_RULE, FOLDER_RULE)
BY_UID = "the image series that the segmentation refers to"
BY_IMAGE = "the images that its frames were derived from"
BY_GEOMETRY = "the only image on the same grid"
BY_OWNER = "the only image of that patient or exam"
PLACED = ("dicom-seg", "nrrd")  # formats that leave out what is empty, so that their reader needs the image's grid
MOST_BY_GEOMETRY = 64  # opening every pair of files is slow; names are the ordinary way


def names_segments(form: str, path: Path) -> bool:
    """A mask file that says what its values mean: a DICOM SEG, or a segmentation of 3D Slicer."""
    return form == "dicom-seg" or (form == "nrrd" and is_seg_nrrd(path))


def segment_names(form: str, path: Path) -> dict[str, int]:
    """Segment name -> value of a file that names its segments."""
    if form == "dicom-seg":
        return {name: number for number, name in seg_facts(path).segments.items()}
    return {s.name: s.value for s in open_seg(path).structures}


def join_masks(files: Sequence[str], drafts: Sequence[Draft]) -> Match:
    """Join mask files to images by their names, and by the patient or exam that has one image only."""
    return _by_owner(files, drafts, match(files, [d.aliases for d in drafts], what="mask", rules=MASK_RULES))


def _by_owner(files: Sequence[str], drafts: Sequence[Draft], matched: Match) -> Match:
    """Join what is left where a mask is called like a patient or an exam with one image: nothing else can be meant."""
    owned: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for position, draft in enumerate(drafts):
        for word in (draft.patient, draft.exam, *draft.exam_aliases):
            owned[tokens(word or "")].add(position)
    wanted: dict[int, list[int]] = defaultdict(list)
    for k in matched.unmatched:
        name = undecorated(files[k])
        hits = owned.get(name, set()) if name else set()
        if len(hits) == 1 and hits <= set(matched.free):
            wanted[next(iter(hits))].append(k)
    more = {masks[0]: position for position, masks in wanted.items() if len(masks) == 1}
    return Match(
        {**matched.joined, **more},
        {**matched.rules, BY_OWNER: len(more)} if more else matched.rules,
        tuple(k for k in matched.unmatched if k not in more),
        tuple(position for position in matched.free if position not in more.values()),
    )


def join_segmentations(found: Sequence[Found], drafts: Sequence[Draft], folders: tuple[Path, Path] | None = None) -> Match:
    """Join DICOM segmentations to the series they refer to.

    folders  of the segmentations and of the images: then the images that frames were derived from count too, and a
             segmentation in another frame of reference than its series is refused. Without them it is left alone
    """
    images = Images(drafts, folders[1] if folders else Path())
    joined: dict[int, int] = {}
    rules: Counter[str] = Counter()
    for k, item in enumerate(found):
        hits, rule = images.in_series(item.attributes.get("references", ())), BY_UID
        if not hits and folders is not None:
            hits, rule = images.naming(seg_facts(folders[0] / item.files[0]).sources), BY_IMAGE
        if not hits:
            continue
        draft = drafts[hits[0]]
        own, other = (str(a.get("frame_of_reference") or "") for a in (item.attributes, draft.attributes))
        if own and other and own != other:
            if folders is not None:
                refuse_other_frame(item.files[0], own, other)
            continue
        if hits[0] in joined.values():
            raise OverreadError(
                f"Two segmentations refer to one series, {draft.name}; the second is {item.files[0]}.",
                "keep one segmentation for each image in the truth folder; several readers belong into a folder each",
            )
        joined[k] = hits[0]
        rules[rule] += 1
    return _result(joined, dict(rules), len(found), len(drafts))


def join_by_geometry(
    files: Mapping[str, str], drafts: Sequence[Draft], truth_folder: Path, images_folder: Path
) -> dict[str, int]:
    """Join masks none of whose names says anything, where a mask lies on the grid of exactly one image.

    Crops and atlases give many patients one grid, and the one image on a grid may be the one whose true
    partner cannot be read. So this is asked only where names joined nothing at all, and of every image.

    files    mask file -> its format
    returns  mask file -> position of the draft
    """
    if not files or not drafts or max(len(files), len(drafts)) > MOST_BY_GEOMETRY:
        return {}
    grids = [_grid(d, images_folder) for d in drafts]
    fits: dict[str, list[int]] = {}
    for file, form in files.items():
        fits[file] = [k for k, grid in enumerate(grids) if grid is not None and _fits(truth_folder / file, form, grid)]
    wanted = [hits[0] for hits in fits.values() if len(hits) == 1]
    return {file: hits[0] for file, hits in fits.items() if len(hits) == 1 and wanted.count(hits[0]) == 1}


def _grid(draft: Draft, folder: Path) -> Grid | None:
    first = draft.images[0]
    try:
        return open_image([folder / f for f in first.files], first.format, first.index).grid
    except Refused:
        return None


def _fits(file: Path, form: str, target: Grid) -> bool:
    """Is the mask on this grid? A shape alone is not enough: many films have the same size."""
    try:
        layers, source = open_labels([file], form, grid=target if form in PLACED else None)
        place_layers(layers, source, target, what=file.name)
    except Refused:
        return False
    return source.spacing_known and target.spacing_known


def _result(joined: dict[int, int], rules: dict[str, int], names: int, things: int) -> Match:
    taken = set(joined.values())
    return Match(
        joined,
        rules,
        tuple(k for k in range(names) if k not in joined),
        tuple(k for k in range(things) if k not in taken),
    )
