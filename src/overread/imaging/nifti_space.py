"""Which of a NIfTI header's three ways to place voxels counts, and what the others say in mm."""

from __future__ import annotations

from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import aff2axcodes
from nibabel.spatialimages import HeaderDataError

from overread.core.errors import Refused

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # by the lower three bits of xyzt_units: unknown, metre, mm, micron
UNITS = {1: "metres", 3: "microns"}
CONFLICT_VOXELS = 0.5  # qform and sform may put a corner this far apart before it is a conflict worth a word
SIZES_DIFFER = 0.01  # share by which voxel sizes of qform and sform may differ


def affine_of(name: str, file: Any) -> tuple[np.ndarray, tuple[str, ...], bool]:
    """The (4, 4) map from (x, y, z) to LPS mm, what had to be assumed, and whether the millimetres are known."""
    header = file.header
    code = int(header["xyzt_units"]) & 7
    if code not in MILLIMETRES:
        raise Refused("bad-units", f"{name} gives lengths in the undefined unit {code}.", "write xyzt_units = 2 (mm)")
    scale = MILLIMETRES[code]
    to_mm = np.diag([scale, scale, scale, 1.0])
    notes: tuple[str, ...] = (f"lengths converted from {UNITS[code]} to mm",) if code in UNITS else ()
    qform, sform = _qform(name, header), header.get_sform() if int(header["sform_code"]) > 0 else None
    if sform is not None:
        sform = to_mm @ sform
        notes += () if qform is None else _compare(name, header, file.shape, sform, to_mm @ qform)
        return LPS_FROM_RAS @ sform, notes, True
    if qform is not None:
        return LPS_FROM_RAS @ to_mm @ qform, notes, True
    sizes = np.abs(np.array(header["pixdim"][1:4], dtype=float))
    if code == 0 and (sizes[: min(len(file.shape), 3)] == 1).all():
        return LPS_FROM_RAS @ header.get_base_affine(), ("the file gives no orientation, no unit and no voxel size",), False
    notes += ("the file names no orientation (qform and sform codes are 0); spacing only",)
    return LPS_FROM_RAS @ to_mm @ header.get_base_affine(), notes, True


def _qform(name: str, header: Any) -> np.ndarray | None:
    """RAS in the file's unit; None where the file has none, or has a broken one beside an sform."""
    if int(header["qform_code"]) <= 0:
        return None
    try:
        return np.asarray(header.get_qform(), dtype=float)
    except (HeaderDataError, ValueError) as error:
        if int(header["sform_code"]) > 0:
            return None
        raise Refused("bad-affine", f"{name}: its quaternion is not a rotation: {error}.", "write it again") from error


def _compare(name: str, header: Any, shape: tuple[int, ...], sform: np.ndarray, qform: np.ndarray) -> tuple[str, ...]:
    """The sform counts. A qform may name another space (scanner, atlas), but not another body side or size."""
    if not (np.isfinite(sform).all() and np.isfinite(qform).all()) or abs(np.linalg.det(sform[:3, :3])) < 1e-15:
        return ()  # an sform like that is refused as bad-affine
    apart = _apart(shape, sform, qform)
    sizes, other_sizes = voxel_sizes(sform), voxel_sizes(qform)
    if apart <= CONFLICT_VOXELS * sizes.min():
        return ()
    axes, other_axes = aff2axcodes(sform), aff2axcodes(qform)
    if axes != other_axes or not np.allclose(sizes, other_sizes, rtol=SIZES_DIFFER):
        raise Refused(
            "qform-sform-conflict",
            f"{name}: sform says axes {''.join(map(str, axes))} with {np.round(sizes, 3).tolist()} mm "
            f"(code {int(header['sform_code'])}), qform says {''.join(map(str, other_axes))} with "
            f"{np.round(other_sizes, 3).tolist()} mm (code {int(header['qform_code'])}); corners lie up to {apart:.1f} mm apart.",
            "find out which is right and write the file again with both the same",
        )
    return (f"qform and sform name different spaces ({apart:.1f} mm apart); the sform was taken",)


def _apart(shape: tuple[int, ...], sform: np.ndarray, qform: np.ndarray) -> float:
    """Largest distance between the places of one corner, mm."""
    ends = [np.array([0, n - 1]) for n in (*shape, 1, 1)[:3]]
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), -1).reshape(8, 3)
    off = corners @ (sform - qform)[:3, :3].T + (sform - qform)[:3, 3]
    return float(np.linalg.norm(off, axis=1).max())
