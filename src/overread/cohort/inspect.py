"""Every image and mask is opened once when it comes in: what cannot be read, or does not fit, shows now and not at night."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from overread.cohort.draft import Draft
from overread.cohort.labels.masks import names_segments
from overread.cohort.labels.object_truth import open_objects
from overread.cohort.load import open_channels, open_layers
from overread.cohort.progress import Progress, counted
from overread.core.case import TruthReference
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.imaging.digest import pixel_digest
from overread.imaging.labels import open_seg
from overread.record.files import digest_bytes

SHOWN = 5


@dataclass(frozen=True)
class Seen:
    """What opening a case showed.

    digest    of the pixels: identical images have identical digests, whatever the file
    voxels    label value -> how many voxels, for a mask; how many objects, where objects are asked
    names     label value -> structure, where the mask file itself says so (DICOM SEG)
    content   digest of the mask's voxels, or of the objects, on the image's grid
    made      "synthetic" or "derived" where a network made or changed the image, or a channel of it; ""
    done      what was done to the objects on the way -> how often
    refusal   why the image or its mask cannot be used; None where they can
    """

    digest: str = ""
    grid: Grid | None = None
    units: str = ""
    channels: tuple[str, ...] = ()
    is_simulated: bool = False
    made: str = ""
    voxels: Mapping[int, int] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    content: str = ""
    done: Mapping[str, int] = field(default_factory=dict)
    refusal: OverreadError | None = None


def inspect_cases(
    drafts: Sequence[Draft],
    truths: Mapping[str, TruthReference],
    images_folder: Path,
    truth_folder: Path | None,
    *,
    gaps: str = "refuse",
    tilt: str = "refuse",
    objects: str | None = None,
    progress: Progress | None = None,
) -> list[Seen]:
    """Open every case, and its mask where it has one; one result per draft, in order.

    objects  how masks tell objects apart, "components" or "values", where objects are asked; None where they are not
    """

    def look(draft: Draft) -> Seen:
        try:
            return _inspect(draft, truths.get(draft.name), images_folder, truth_folder, gaps, tilt, objects)
        except Refused as refusal:
            return Seen(refusal=refusal)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # decompression and hashing release the lock
        return list(counted(pool.map(look, drafts), len(drafts), "opening every case", progress))


def _inspect(
    draft: Draft,
    truth: TruthReference | None,
    images_folder: Path,
    truth_folder: Path | None,
    gaps: str,
    tilt: str,
    objects: str | None,
) -> Seen:
    image = open_channels(draft.name, draft.images, images_folder, gaps=gaps, tilt=tilt)
    voxels: dict[int, int] = {}
    names: dict[int, str] = {}
    content = ""
    done: Mapping[str, int] = {}
    if truth is not None and truth.files and truth_folder is not None and truth.format != "value":
        with _hinting(draft):
            if objects is None:
                voxels, content = _voxels(open_layers(draft.name, truth, truth_folder, image.grid))
            else:
                by_value = objects == "values"
                found = open_objects(draft.name, truth, truth_folder, image.grid, by_value=by_value)
                voxels, content, done = found.counts(), digest_bytes(found.parts()), found.done
        if names_segments(truth.format, truth_folder / truth.files[0]):
            names = {s.value: s.name for s in open_seg(truth_folder / truth.files[0], image.grid).structures}
    simulated = bool(image.source.get("is_simulated")) or bool(draft.attributes.get("synthetic"))
    made = str(image.source.get("made") or draft.attributes.get("made") or "")
    digest = pixel_digest(image)
    return Seen(digest, image.grid, image.units, image.channels, simulated, made, voxels, names, content, done)


def _voxels(layers: np.ndarray) -> tuple[dict[int, int], str]:
    """Label value -> voxels, and the digest of all."""
    voxels: dict[int, int] = {}
    for layer in layers:
        values, counts = np.unique(layer, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if value:
                voxels[int(value)] = voxels.get(int(value), 0) + int(count)
    return voxels, digest_bytes([str(layers.shape).encode(), np.ascontiguousarray(layers, dtype=np.int32).tobytes()])


@contextmanager
def _hinting(draft: Draft) -> Iterator[None]:
    """Where there are several images the mask may have been drawn on another one."""
    try:
        yield
    except Refused as refusal:
        if refusal.code != "mask-on-another-grid" or len(draft.images) == 1:
            raise
        first = draft.images[0].channel
        hint = f"the mask must lie on the grid of '{first}', the first channel; if it was drawn on another, name that one first"
        raise Refused(refusal.code, refusal.what, f"{hint} under images.channels; or {refusal.next}") from None


def refuse_faults(seen: Sequence[Seen], codes: Sequence[str]) -> None:
    """Stop on faults of these codes, the first few named: faults that are to be put right, not counted away."""
    faults = [s.refusal for s in seen if isinstance(s.refusal, Refused) and s.refusal.code in codes]
    if not faults:
        return
    rest = f"\n  and {len(faults) - SHOWN} more cases" if len(faults) > SHOWN else ""
    first = faults[0]
    raise Refused(first.code, "\n  ".join(f.what for f in faults[:SHOWN]) + rest, first.next)


def refuse_mixture(drafts: Sequence[Draft], seen: Sequence[Seen]) -> None:
    """A phantom is not evidence about patients: the two never share a cohort."""
    simulated = [d.name for d, s in zip(drafts, seen, strict=True) if s.is_simulated]
    if simulated and len(simulated) < len(drafts):
        real = next(d.name for d, s in zip(drafts, seen, strict=True) if not s.is_simulated)
        raise Refused(
            "phantom-and-patients",
            f"{len(simulated)} of {len(drafts)} images are simulated (for example {simulated[0]}) and the others are not "
            f"(for example {real}). A phantom cannot be mixed with patients.",
            "keep the phantom in a folder and a project of its own",
        )


def refuse_unlike(drafts: Sequence[Draft], seen: Sequence[Seen], kinds: Sequence[str] = ()) -> None:
    """All cases of a cohort have the same channels, units and number of directions.

    kinds  translation without pairs: the kind of each image; their units may differ between kinds
    """
    for kind in dict.fromkeys(kinds or ("",)):
        own = [k for k in range(len(seen)) if not kinds or kinds[k] == kind]
        _refuse_several([drafts[k] for k in own], {"units": [seen[k].units for k in own]})
    channels = [", ".join(s.channels) for s in seen]
    directions = ["2D" if s.grid is not None and s.grid.is_planar else "3D" for s in seen]
    _refuse_several(drafts, {"channels": channels, "kind": directions})


def _refuse_several(drafts: Sequence[Draft], found: Mapping[str, Sequence[str]]) -> None:
    """found  what -> its value for each draft, which is to be the same for all"""
    for what, values in found.items():
        counts = Counter(values)
        if len(counts) > 1:
            usual, rare = counts.most_common(1)[0][0], counts.most_common()[-1][0]
            odd = [d.name for d, v in zip(drafts, values, strict=True) if v == rare]
            raise Refused(
                f"mixed-{what}",
                f"The images are not of one kind. {what}: "
                + ", ".join(f"{n} cases {v}" for v, n in counts.most_common())
                + f"; {rare} are for example {', '.join(odd[:3])}; most are {usual}.",
                "keep one kind of image in a project, e.g. move the others to another folder",
            )


def declared_names(drafts: Sequence[Draft], seen: Sequence[Seen]) -> dict[str, int]:
    """Structure -> value as the masks themselves name them; refused where one value has two names."""
    first: dict[int, tuple[str, str]] = {}
    for draft, s in zip(drafts, seen, strict=True):
        for value, name in s.names.items():
            known = first.setdefault(value, (name, draft.name))
            if known[0] != name:
                raise Refused(
                    "segment-names",
                    f"Segment {value} is '{known[0]}' in the segmentation of {known[1]} and '{name}' in that of {draft.name}.",
                    "number the segments alike in all segmentations",
                )
    return {name: value for value, (name, _) in sorted(first.items())}
