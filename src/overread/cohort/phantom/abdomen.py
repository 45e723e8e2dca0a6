"""One abdominal CT, from the plan to its files and its truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from overread.cohort.phantom.acquisition import Protocol, acquire, label_maps, plan_protocol, working_grid
from overread.cohort.phantom.anatomy import (
    BOTTOM_MM,
    STRUCTURES,
    TOP_MM,
    Anatomy,
    draw_anatomy,
    draw_pose,
    lesions_at,
    paint_scene,
)
from overread.cohort.phantom.canvas import Canvas
from overread.cohort.phantom.covariates import SCANNERS, random_stream
from overread.cohort.phantom.lesions import CLASSES, MASSES
from overread.cohort.phantom.marks import burn
from overread.cohort.phantom.options import Options
from overread.cohort.phantom.plan import Planned
from overread.cohort.phantom.threshold import histograms
from overread.cohort.phantom.truth import Instance, coco_annotations, instances_of
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure
from overread.imaging.dicom.seg import Code, write_seg
from overread.imaging.dicom.write_ct import CtSeries, write_ct
from overread.imaging.nifti import write_nifti

MASK_VALUES = {"liver": 1, "metastasis": 2}
CODES = {"liver": Code("10200004", "SCT", "Liver"), "metastasis": Code("14799000", "SCT", "Neoplasm, secondary")}
MARKER_HU = 900
MOVED_SHARE = 0.2  # exams whose breath was not held


def simulate(planned: Planned, options: Options) -> tuple[np.ndarray, np.ndarray, np.ndarray, Protocol, Anatomy]:
    """The pixels (Z, Y, X) int16 HU of one exam, its structures uint8 and instances uint16, on one grid."""
    random = random_stream(options.seed, "abdomen", planned.person.number, 10 + planned.exam)
    anatomy = draw_anatomy(options.seed, planned.person, touching=options.touching)
    pose = draw_pose(random, anatomy.scale)
    half_width = float((150 + anatomy.habitus.subcutaneous_mm()) * anatomy.scale[0])
    scanner = SCANNERS[planned.person.site]
    protocol = plan_protocol(scanner, options.size, options.slices, pose, half_width, TOP_MM, BOTTOM_MM, random)
    shape, spacing, origin = working_grid(protocol)
    canvas = Canvas(shape, spacing, origin, pose, anatomy.warp, random)
    paint_scene(canvas, anatomy, random, planned.exam)
    moved = float(random.uniform(4, 9)) if random.random() < MOVED_SHARE else 0.0
    hu = acquire(canvas, protocol, random, moved, 2 * half_width)
    structures, instances = label_maps(canvas, protocol)
    if planned.has_marker:
        burn(hu, "PORT", MARKER_HU, "upper left")
    return hu, structures, instances, protocol, anatomy


def write_exam(planned: Planned, options: Options, out: Path) -> dict[str, Any]:
    """Simulate one exam and write image, masks and SEG; returns its sheet row and what else is known of it."""
    hu, structures, instances, protocol, anatomy = simulate(planned, options)
    grid, exam_id = protocol.grid, planned.exam_id
    kinds = [lesion.kind for lesion in lesions_at(anatomy, planned.exam)]
    found = instances_of(instances, kinds, grid)
    mask = _mask(structures)
    slices = _write_image(planned, options, out, hu, protocol, mask)
    note = f"PHANTOM {exam_id}"
    write_nifti(out / f"masks/{exam_id}.nii.gz", mask, grid, description=f"{note} masks")
    write_nifti(out / f"organs/{exam_id}.nii.gz", structures, grid, description=f"{note} organs")
    small = instances.astype(np.uint8) if instances.max(initial=0) < 256 else instances
    write_nifti(out / f"instances/{exam_id}.nii.gz", small, grid, description=f"{note} instances")
    spread = np.where(np.isin(small, [item.number for item in found if item.kind == "metastasis"]), small, 0).astype(small.dtype)
    write_nifti(out / f"metastases/{exam_id}.nii.gz", spread, grid, description=f"{note} metastases")
    return {
        "row": _row(planned, options, grid, structures, found),
        "instances": [item.as_dict() for item in found],
        "slices": slices,
        "shape": list(grid.shape),
        "annotations": coco_annotations(instances, found, range(grid.shape[0]), CLASSES),
        "histograms": histograms(hu, structures),
        "voxels": {
            "liver": int(((structures == 1) | (structures == 3) | (structures == 4)).sum()),
            "metastasis": int((structures == 2).sum()),
        },
        "voxel_ml": grid.voxel_ml,
        "thickness_mm": protocol.thickness_mm,
        "spacing_mm": [round(s, 4) for s in grid.spacing_mm],
    }


def _mask(structures: np.ndarray) -> np.ndarray:
    """Liver with its benign lesions 1, metastases 2: the two never overlap, and a mimic is not a metastasis."""
    mask = np.isin(structures, [STRUCTURES[n] for n in ("liver", "cyst", "haemangioma")]).astype(np.uint8)
    mask[structures == STRUCTURES["metastasis"]] = MASK_VALUES["metastasis"]
    return mask


def _write_image(
    planned: Planned, options: Options, out: Path, hu: np.ndarray, protocol: Protocol, mask: np.ndarray
) -> list[str]:
    """Write the pixels; returns the file of each slice, relative to `out` ("" where a slice was left out)."""
    exam_id, grid, scanner = planned.exam_id, protocol.grid, protocol.scanner
    if options.format == "nifti":
        name = f"images/{exam_id}.nii.gz"
        write_nifti(out / name, hu, grid, description=f"PHANTOM {exam_id} HU")
        return [name] * grid.shape[0]
    header = planned.header(options.seed, options.kind, scanner.site)
    text = f"PHANTOM portal venous {scanner.kernel}"
    series = CtSeries(scanner.vendor, scanner.model, scanner.kernel, scanner.kvp, protocol.thickness_mm, text, scanner.from_head)
    first = grid.shape[0] * 3 // 5
    missing = range(first, first + planned.left_out)
    files = write_ct(out / f"images/{exam_id}", hu, grid, header, series, leave_out=missing)
    _write_seg(out / f"seg/{exam_id}.dcm", mask, grid, files)
    names = iter(file.relative_to(out).as_posix() for file in files)
    return ["" if k in missing else next(names) for k in range(grid.shape[0])]


def _write_seg(path: Path, mask: np.ndarray, grid: Grid, files: list[Path]) -> None:
    present = tuple(Structure(name, value) for name, value in MASK_VALUES.items() if (mask == value).any())
    label_map = LabelMap(mask[None], present, grid)
    write_seg(path, label_map, files, description="PHANTOM truth", algorithm="Overread phantom", structure_codes=CODES)


def _row(planned: Planned, options: Options, grid: Grid, structures: np.ndarray, found: list[Instance]) -> dict[str, Any]:
    scanner, exam_id = SCANNERS[planned.person.site], planned.exam_id
    counts = {kind: sum(item.kind == kind for item in found) for kind in CLASSES}
    ranked = ("metastasis", "haemangioma", "cyst")
    kind = next((k for k in ranked if counts[k]), "none")
    suffix = "" if options.format == "dicom" else ".nii.gz"
    return {
        "patient_id": planned.patient_id,
        "exam_id": exam_id,
        "study_uid": planned.header(options.seed, options.kind, scanner.site).study_uid,
        "image": f"images/{exam_id}{suffix}",
        "mask": f"masks/{exam_id}.nii.gz",
        "study_date": planned.day.isoformat(),
        "age": planned.person.age_on(planned.day),
        "sex": planned.person.sex,
        "site": scanner.site,
        "scanner": scanner.model,
        "any_lesion": "yes" if any(counts[k] for k in MASSES) else "no",
        "any_metastasis": "yes" if counts["metastasis"] else "no",
        "lesion_type": kind,
        "tumour_burden_ml": round(int((structures == STRUCTURES["metastasis"]).sum()) * grid.voxel_ml, 2),
        "n_metastases": counts["metastasis"],
        "n_cysts": counts["cyst"],
        "n_haemangiomas": counts["haemangioma"],
        "liver_ml": round(int(((structures >= 1) & (structures <= 4)).sum()) * grid.voxel_ml, 1),
    }
