"""Which of the usual forms a folder has, and the cases in it.

Decathlon        dataset.json, imagesTr/, labelsTr/
nnU-Net raw      the same, with channels as _0000, _0001 ... at the end of image names; a 4D file holds several
MedMNIST         one .npz with images, labels and splits
DICOM            patients, studies and series, as their headers say
class folders    .../NORMAL/a.jpg, .../PNEUMONIA/b.jpg, with or without train/, val/, test/ above
files            NIfTI or raster files, one per case or one per channel
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from overread.cohort import names
from overread.cohort.draft import Draft, LeftOut, Step
from overread.cohort.file_cases import case_of, cases_of_files
from overread.cohort.file_channels import propose_channels
from overread.cohort.labels.masks import join_masks, join_segmentations
from overread.cohort.match import without_suffix
from overread.cohort.rules import ImageRules, Rule
from overread.core.case import ImageReference
from overread.core.errors import OverreadError
from overread.imaging.found import Found, Scan
from overread.record.files import read_json


@dataclass(frozen=True)
class Layout:
    """What a folder turned out to be.

    form         one of the forms above, in words
    drafts       cases, without truth
    channels     name -> rule, the reference first; empty where a case has one image without a name
    truth_files  label files that the layout itself names: draft name -> file relative to the folder
    structures   structure -> label value, where a dataset.json declares them
    steps        data flow so far
    reasons      "section.key" -> why
    notes        worth telling the user
    unclear      why label files beside the images cannot be the truth, where nobody names another
    """

    form: str
    drafts: tuple[Draft, ...]
    channels: Mapping[str, Rule] = field(default_factory=dict)
    truth_files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    structures: Mapping[str, int] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unclear: OverreadError | None = None


def recognise(scan: Scan, folder: Path, inside: str = "", rules: ImageRules | None = None, without: str = "") -> Layout:
    """Recognise the layout of a scanned folder.

    inside   the one file in it that was scanned; "" is all
    rules    what the user says of channels; without channels there the layout says what it knows of them
    without  folder in it whose files are masks and no images; "" is none
    """
    rules = rules or ImageRules()
    found = [f for f in scan.found if not without or not f.files[0].startswith(without + "/")]
    refused = [
        LeftOut(r.reason if r.reason.startswith(r.path) else f"{r.path}: {r.reason}", f"refused: {r.code}") for r in scan.refused
    ]
    _refuse_empty(scan, folder, found, refused)
    formats = Counter(f.format for f in found)
    main = formats.most_common(1)[0][0]
    if len(formats) > 1:
        counts = ", ".join(f"{n} {form}" for form, n in formats.most_common())
        raise OverreadError(
            f"The folder {folder} mixes kinds of images: {counts}.",
            "give a folder with one kind as --images; masks of another kind go to --truth",
        )
    if main == "dicom":
        return _dicom(found, refused)
    if main == "npz":
        if len(rules.channels) > 1:
            raise OverreadError(
                "images.channels names several channels, and a row of an .npz archive is one image.", "leave images.channels out"
            )
        return _npz(found, refused)
    description = folder / "dataset.json"
    if main == "nifti" and not inside and description.is_file():
        return _decathlon(found, refused, read_json(description), rules)
    return _files(found, refused, rules)


def _refuse_empty(scan: Scan, folder: Path, found: Sequence[Found], refused: Sequence[LeftOut]) -> None:
    if found:
        return
    if refused:
        first = scan.refused[0]
        raise OverreadError(
            f"None of the {len(refused)} image files in {folder} can be read; the first is {first.path}: {first.reason}",
            "fetch the files again",
        )
    others = ", ".join(f"{n} {suffix or 'without a suffix'}" for suffix, n in list(scan.ignored.items())[:5])
    raise OverreadError(
        f"The folder {folder} holds no images" + (f", only other files ({others})." if others else "; it is empty."),
        "give the folder that holds DICOM, NIfTI, PNG, JPEG or MedMNIST .npz files with --images",
    )


def _readable(found: Sequence[Found], refused: Sequence[LeftOut], what: str) -> tuple[list[Found], Step]:
    kept = [f for f in found if "ineligible" not in f.attributes]
    out = [
        LeftOut(f"{_place(f)}: {f.attributes['ineligible']}", f"not an image to learn from: {f.attributes.get('code', 'other')}")
        for f in found
        if "ineligible" in f.attributes
    ]
    return kept, Step(f"{what} found", len(kept), (*refused, *out))


def _place(found: Found) -> str:
    """Where the user finds it: the folder of a series of files, else the file."""
    return (found.files[0].rpartition("/")[0] if len(found.files) > 1 else "") or found.files[0]


# ---- MedMNIST ---------------------------------------------------------------------------------------


def _npz(found: Sequence[Found], refused: Sequence[LeftOut]) -> Layout:
    files = sorted({f.files[0] for f in found})
    if len(files) > 1:
        raise OverreadError(
            f"The folder holds {len(files)} .npz archives, and their labels need not mean the same: {', '.join(files[:5])}.",
            f"give one of them as --images, e.g. --images .../{files[0]}",
        )
    kept, step = _readable(found, refused, "rows of the archive")
    drafts = []
    for item in kept:
        labels = item.attributes.get("labels")
        drafts.append(
            Draft(
                item.name,
                (item.name, f"{item.files[0]}[{item.index}]", str(item.index)),
                (ImageReference("image", "npz", item.files, item.index),),
                partition=item.attributes.get("partition"),
                label=None if labels is None else ",".join(f"{v:g}" for v in labels),
                attributes=dict(item.attributes),
            )
        )
    return Layout("MedMNIST archive", tuple(drafts), steps=(step,))


# ---- Decathlon and nnU-Net --------------------------------------------------------------------------


def _decathlon(found: Sequence[Found], refused: Sequence[LeftOut], description: Mapping[str, Any], rules: ImageRules) -> Layout:
    kept, step = _readable(found, refused, "files")
    training = [f for f in kept if f.files[0].startswith("imagesTr/")]
    if not training:
        return _files(found, refused, rules)
    paths, by_path = [f.files[0] for f in kept], {f.files[0]: f for f in kept}
    channels = dict(rules.channels) or _declared_channels(training, description)
    drafts, steps = cases_of_files(training, channels, rules)
    labels = {without_suffix(p).rsplit("/", 1)[-1]: p for p in paths if p.startswith("labelsTr/")}
    declared = {e["image"].removeprefix("./"): e["label"].removeprefix("./") for e in _listed(description)}
    truth = {}
    for draft in drafts:
        files = [f for i in draft.images for f in i.files]
        label = next((declared[f] for f in files if f in declared), None) or labels.get(case_of(draft).rsplit("/", 1)[-1])
        if label in by_path:
            truth[draft.name] = (label,)
    waiting = [LeftOut(p, "test image without a published truth") for p in paths if p.startswith("imagesTs/")]
    form = "nnU-Net raw" if any(names.NUMBERED.match(names.stem(f.files[0])) for f in training) else "Decathlon"
    reasons = {"images.folder": f"{form} layout: dataset.json, imagesTr/, labelsTr/"}
    if channels and not rules.channels:
        reasons["images.channels"] = "named in dataset.json"
    return Layout(
        f"{form} layout",
        tuple(drafts),
        channels,
        truth,
        structures_of(description),
        (Step("images found", len(training), (*step.left_out, *waiting)), *steps),
        reasons,
    )


def _declared_channels(training: Sequence[Found], description: Mapping[str, Any]) -> dict[str, Rule]:
    """Channels by the names in dataset.json: files numbered _0000 ..., the volumes of a 4D file, or the one image of a case."""
    listed = description.get("channel_names") or description.get("modality") or {}
    named = {int(k): _plain(v) for k, v in listed.items() if str(k).isdecimal()} if isinstance(listed, Mapping) else {}
    named = {k: name if list(named.values()).count(name) == 1 else f"{name}_{k}" for k, name in named.items()}
    proposed = propose_channels([f.files[0] for f in training])
    if proposed:
        numbers = [rule["file"].strip("_") for rule in proposed.values()]
        ordered = zip(proposed.items(), numbers, strict=True)
        return {named.get(int(n), c) if n.isdecimal() else c: rule for (c, rule), n in ordered}
    volumes = max(int(f.attributes.get("components", 1)) for f in training)
    if volumes > 1 and len(named) == volumes:
        return {named[k]: {"volume": str(k)} for k in sorted(named)}
    name = named.get(0, "image")
    return {} if volumes > 1 or name == "image" else {name: {"file": "*"}}


def _listed(description: Mapping[str, Any]) -> list[Mapping[str, str]]:
    listed = description.get("training", [])
    return [e for e in listed if isinstance(e, Mapping) and "image" in e and "label" in e] if isinstance(listed, list) else []


def _plain(name: Any) -> str:
    return "_".join(str(name).casefold().split()) or "image"


def structures_of(description: Mapping[str, Any]) -> dict[str, int]:
    """Structure -> label value of a dataset.json: Decathlon writes {"1": "liver"}, nnU-Net {"liver": 1}."""
    structures = {}
    for key, value in description.get("labels", {}).items():
        if isinstance(value, list):
            raise OverreadError(
                f"dataset.json declares '{key}' as a region of several labels ({value}); regions cannot be learned yet.",
                "declare each label value by itself",
            )
        name, number = (str(value), int(key)) if str(key).isdecimal() else (str(key), int(value))
        if number != 0 and name.casefold() not in ("background", "ignore"):
            structures[name] = number
    return structures


# ---- NIfTI and raster files -------------------------------------------------------------------------


def _files(found: Sequence[Found], refused: Sequence[LeftOut], rules: ImageRules) -> Layout:
    kept, step = _readable(found, refused, "files")
    if not kept:
        raise OverreadError(
            f"None of the {len(found)} files is an image to learn from; the first: {found[0].name}, "
            f"{found[0].attributes['ineligible']}."
        )
    by_path = {f.files[0]: f for f in kept}
    images, masks = names.split_masks(list(by_path))
    partitions, patients = names.partition_folders(images), names.patient_folders(images)
    reasons, notes = {}, []
    classes = names.class_folders(images) if not masks else None
    channels: Mapping[str, Rule] = rules.channels or ({} if classes else propose_channels(images))
    if len({without_suffix(p) for p in images}) < len(images):
        notes.append("some files differ only in their suffix")
    drafts, steps = cases_of_files([by_path[p] for p in images], channels, rules)
    for k, draft in enumerate(drafts):
        first = next(i.files[0] for i in draft.images if i.files)
        drafts[k] = replace(
            draft,
            partition=partitions[first] if partitions else None,
            patient=draft.patient or (patients[first] if patients else None),
            label=classes[first] if classes else None,
        )
    if patients:
        reasons["cohort.group_by"] = "folders are named like patients"
    if len(channels) > 1 and not rules.channels:
        reasons["images.channels"] = "files of one case differ in this part of their name; the first is the reference"
    form = "class folders" if classes else "folder of files"
    return Layout(
        form,
        tuple(drafts),
        channels,
        _own_masks(drafts, masks),
        steps=(Step("images found", len(images), step.left_out), *steps),
        reasons=reasons,
        notes=tuple(notes),
    )


def _own_masks(drafts: Sequence[Draft], masks: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Masks that lie beside their images, joined by name."""
    if not masks:
        return {}
    joined = join_masks(masks, drafts)
    return {drafts[d].name: (masks[m],) for m, d in joined.joined.items()}


# ---- DICOM ------------------------------------------------------------------------------------------


def _dicom(found: Sequence[Found], refused: Sequence[LeftOut]) -> Layout:
    """Every eligible series as a draft of its own; `overread.cohort.series` chooses among those of one exam."""
    kept, step = _readable(found, refused, "series")
    if not kept:
        reasons = Counter(str(f.attributes["ineligible"]) for f in found).most_common(5)
        raise OverreadError(
            f"None of the {len(found)} DICOM series is an image to learn from: "
            + "; ".join(f"{n} times {reason}" for reason, n in reasons)
            + ".",
            "fetch the series again, or say --gaps resample or --tilt resample where that is the reason",
        )
    drafts = [series_draft(f) for f in kept]
    seen: Counter[str] = Counter()
    for k, draft in enumerate(drafts):
        seen[draft.name] += 1
        if seen[draft.name] > 1:
            drafts[k] = replace(draft, name=f"{draft.name} #{seen[draft.name]}")
    segmentations = [f for f in found if f.attributes.get("modality") == "SEG"]
    joined, unclear = dict[int, int](), None
    try:
        joined = join_segmentations(segmentations, drafts).joined
    except OverreadError as error:  # counts only where these are the truth
        unclear = error
    truth = {drafts[d].name: segmentations[s].files for s, d in joined.items()}
    return Layout(
        "DICOM studies", tuple(drafts), truth_files=truth, unclear=unclear, steps=(step,), notes=_notes_of_repair(found)
    )


def _notes_of_repair(found: Sequence[Found]) -> tuple[str, ...]:
    """Series that opening will repair, and series left out that it could."""
    notes = []
    for word, what, done in (
        ("gaps", "missing or unevenly placed slices", "filled by interpolation between neighbours"),
        ("tilt", "a tilted gantry", "straightened by interpolation along the tilt"),
    ):
        mended = [f for f in found if f.is_eligible and word in f.attributes.get("repairs", ())]
        if mended:
            notes.append(f"{len(mended)} series with {what} are {done}, e.g. {_place(mended[0])}")
        able = [f for f in found if f"--{word} resample" in str(f.attributes.get("next") or "")]
        if able:
            notes.append(f"{len(able)} series with {what} are left out; they are {done} with --{word} resample")
    return tuple(notes)


def series_draft(item: Found) -> Draft:
    """A DICOM series as a draft of its own."""
    a = item.attributes
    folder = item.files[0].rpartition("/")[0]
    path = item.files[0] if len(item.files) == 1 else folder
    exam_names = [n for n in (item.study, a.get("accession"), a.get("study_id")) if n]
    aliases = dict.fromkeys(str(n) for n in (f"{path} {item.name}".strip(), item.series, path, item.files[0]) if n)
    called = ", ".join(str(n) for n in (item.name, a.get("volume")) if n)
    scanner = " ".join(str(a[k]) for k in ("vendor", "model") if a.get(k))
    covariates = {k: a[key] for k, key in (("age", "patient_age"), ("sex", "patient_sex")) if a.get(key) not in (None, "")}
    return Draft(
        f"{path} ({called})" if called else path,
        tuple(aliases),
        (ImageReference("image", "dicom", item.files, item.index),),
        patient=item.patient or None,
        exam=item.study,
        exam_aliases=tuple(dict.fromkeys(map(str, exam_names))),
        side={"L": "left", "R": "right"}.get(str(a.get("laterality", "")), ""),
        date=_date(a.get("study_date")),
        site=str(a.get("site") or ""),
        scanner=scanner,
        covariates=covariates,
        attributes={**a, "series": item.series},
    )


def _date(text: Any) -> Any:
    stamp = pd.to_datetime(str(text or ""), format="%Y%m%d", errors="coerce")
    return None if pd.isna(stamp) else stamp.date()
