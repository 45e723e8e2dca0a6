"""Planes to one volume: order, spacing, and every way in which they may fail to be one.

Slices are ordered by position along the normal, never by instance number, and their spacing comes from
positions, never from Slice Thickness. Source: DICOM PS3.3 C.7.6.2.1.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.imaging.dicom.planes import Plane

ORIENTATION = 2e-3  # direction cosines may differ by 0.1 degrees; scanners write 6 digits, some only 3
UNIFORM = 0.05  # share of the spacing by which a slice may lie off its place; more is visible at a lesion's edge
ROUNDED_MM = 0.06  # positions written to a tenth of a millimetre lie this far off at most
COUNTABLE = 0.25  # share of the spacing within which a gap counts as a whole number of slices
DUPLICATE = 0.01  # share of the spacing below which two slices lie in one place
TOUCHING_MM = 1e-3  # nearer than this two slices lie in one place whatever the spacing
FARTHEST_MM = 1e5  # a position further than 100 m from the origin is damage
PIXELS_MM = (1e-4, 1e3)  # pixel spacings outside this range are damage
STEEPEST_DEGREES = 45.0  # gantries tilt by 30 at most; beyond this the positions are wrong, not the gantry
SAME_PIXEL = 2e-4  # share by which pixel spacings may differ: a tenth of a pixel over 512
TILT_DEGREES = 0.5  # a smaller angle between normal and stacking direction is rounding of positions
ALIGNED_PIXELS = 0.1  # how far a slice may slide in its plane off the straight line through the others


@dataclass(frozen=True)
class Stack:
    """Parallel planes in order along their normal.

    order     index of each slice among the planes given
    origin    (3,) LPS mm, first voxel of the first slice
    axes      (3, 3) rows: unit normal, direction down a column (Y), direction along a row (X)
    pixel     (Y, X) mm between pixel centres
    depth     (N,) mm along the normal, from the first slice
    shift     (N, 2) mm that each slice slides in its plane (Y, X) relative to the first
    spacing   mm between slices, where all is well
    shape     (Y, X) pixels
    """

    order: tuple[int, ...]
    origin: np.ndarray
    axes: np.ndarray
    pixel: tuple[float, float]
    depth: np.ndarray
    shift: np.ndarray
    spacing: float
    shape: tuple[int, int]

    @property
    def tilt_degrees(self) -> float:
        """Angle between the normal and the direction in which the slices are stacked."""
        return float(np.degrees(np.arctan2(np.linalg.norm(self.shift[-1]), self.depth[-1])))

    @property
    def is_tilted(self) -> bool:
        return self.tilt_degrees > TILT_DEGREES and bool((np.abs(self.shift[-1]) > ALIGNED_PIXELS * np.array(self.pixel)).any())

    def grid(self) -> Grid:
        """The grid of the slices as they lie; the direction between slices is that of the positions."""
        count = len(self.depth)
        affine = np.eye(4)
        across = self.axes[0] + self.shift[-1] / self.depth[-1] @ self.axes[1:]  # for one mm along the normal
        affine[:3, 0] = across * self.spacing
        affine[:3, 1] = self.axes[1] * self.pixel[0]
        affine[:3, 2] = self.axes[2] * self.pixel[1]
        affine[:3, 3] = self.origin
        return Grid((count, *self.shape), affine)


def stack_planes(planes: Sequence[Plane], shapes: Sequence[tuple[int, int]], name: str) -> Stack:
    """Put planes in order; refused where they cannot belong to one volume whatever is done.

    shapes  (Y, X) pixels of each plane
    """
    if not planes:
        raise Refused("no-geometry", f"{name} carries no position or orientation, so it is no volume.", "use another series")
    refuse_damaged(planes, name)
    _refuse_mixed(planes, shapes, name)
    if len(planes) == 1:
        raise Refused(
            "one-slice",
            f"{name} has one slice; a volume needs at least two, and its spacing comes from their positions.",
            "give the folder with the whole series, or fetch the series again",
        )
    axes = frame_axes(planes[0], name)
    positions = np.array([p.position for p in planes])
    order = np.argsort(positions @ axes[0], kind="stable")
    offsets = positions[order] - positions[order[0]]
    depth, shift = offsets @ axes[0], offsets @ axes[1:].T
    places = places_of(depth)
    if places[-1] + 1 < len(planes):
        raise _duplicate(positions[order], places, name)
    spacing = _typical_spacing(depth)
    return Stack(tuple(int(k) for k in order), positions[order[0]], axes, planes[0].spacing, depth, shift, spacing, shapes[0])


def refuse_damaged(planes: Sequence[Plane], name: str) -> None:
    """Refuse numbers that no scanner writes, before anything is computed from them."""
    for plane in planes:
        if (
            max(map(abs, plane.position)) > FARTHEST_MM
            or not PIXELS_MM[0] <= min(plane.spacing) <= max(plane.spacing) <= PIXELS_MM[1]
        ):
            what = f"{name}: a slice lies at {plane.position} mm with pixels of {plane.spacing} mm, which cannot be."
            raise Refused("no-geometry", what, "fetch the series again from the scanner or archive")


def find_fault(stack: Stack, name: str, gaps: str = "refuse", tilt: str = "refuse") -> Refused | None:
    """Why the slices are no regular volume, or None.

    gaps, tilt  "refuse", or "resample" where the caller will repair that fault
    """
    gap = _gap_fault(stack, name)
    if gap and gaps != "resample":
        return gap
    regular = round(float(stack.depth[-1]) / stack.spacing) + 1
    if gap and regular > 2 * len(stack.depth):
        return too_few(regular - len(stack.depth), stack, name)
    tilted = _tilt_fault(stack, name)
    if tilted and (tilt != "resample" or stack.tilt_degrees > STEEPEST_DEGREES):
        return tilted
    return _slide_fault(stack, name)


def too_few(invented: int, stack: Stack, name: str) -> Refused:
    """More slices would be invented than were acquired."""
    what = f"{name} would need {invented} interpolated slices beside {len(stack.depth)} acquired ones."
    return Refused("missing-slice", what, "fetch the series again; most of it is missing")


def repairable(stack: Stack, name: str) -> tuple[str, ...]:
    """Names of the faults that resampling can mend: "gaps", "tilt"."""
    return ("gaps",) * (_gap_fault(stack, name) is not None) + ("tilt",) * stack.is_tilted


def plane_name(normal: np.ndarray) -> str:
    """axial, coronal or sagittal where the normal lies within 25 degrees of that axis, else oblique."""
    strength = np.abs(normal) / max(float(np.linalg.norm(normal)), 1e-9)
    axis = int(np.argmax(strength))
    return ("sagittal", "coronal", "axial")[axis] if strength[axis] > 0.906 else "oblique"


def tolerance_mm(spacing: float) -> float:
    """How far a slice may lie off its regular place."""
    return max(UNIFORM * spacing, ROUNDED_MM)


def same_pixels(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two (row, column) pixel spacings are the same for all that can be seen."""
    return all(abs(a - b) <= SAME_PIXEL * max(a, b) for a, b in zip(one, other, strict=True))


def _refuse_mixed(planes: Sequence[Plane], shapes: Sequence[tuple[int, int]], name: str) -> None:
    sizes = Counter(shapes)
    if len(sizes) > 1:
        listed = ", ".join(f"{n} of {y} x {x}" for (y, x), n in sizes.most_common())
        what = f"{name} has slices of different size: {listed} pixels."
        raise Refused("mixed-size", what, "separate the acquisitions, or choose another series")
    first = np.array(planes[0].orientation)
    odd = int((np.abs(np.array([p.orientation for p in planes]) - first).max(axis=1) > ORIENTATION).sum())
    if odd:
        what = f"{name} has {odd} of {len(planes)} slices in another orientation than the first."
        raise Refused("mixed-orientation", what, "this is usual for a localizer; choose another series")
    if not all(same_pixels(p.spacing, planes[0].spacing) for p in planes):
        pixels = Counter(tuple(round(s, 4) for s in p.spacing) for p in planes)
        listed = ", ".join(f"{n} of {y} x {x}" for (y, x), n in pixels.most_common())
        what = f"{name} has slices of different pixel spacing: {listed} mm."
        raise Refused("mixed-spacing", what, "separate the acquisitions, or choose another series")


def frame_axes(plane: Plane, name: str) -> np.ndarray:
    """(3, 3) rows: unit normal, direction down a column (Y), direction along a row (X)."""
    along_row, along_column = (np.clip(part, -2, 2) for part in (plane.orientation[:3], plane.orientation[3:]))
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if min(lengths) < 0.9 or max(lengths) > 1.1 or abs(along_row @ along_column) > ORIENTATION:
        what = f"{name}: Image Orientation (0020,0037) {plane.orientation} is not two perpendicular directions of length 1."
        raise Refused("no-geometry", what, "fetch the series again from the scanner or archive")
    along_row, along_column = along_row / lengths[0], along_column / lengths[1]
    normal = np.cross(along_row, along_column)
    return np.stack([normal / np.linalg.norm(normal), along_column, along_row])


def places_of(depth: np.ndarray) -> np.ndarray:
    """(N,) number of the place of each slice; neighbours that touch share one.

    depth  (N,) mm along the normal, in order
    """
    gaps = np.diff(depth)
    apart = gaps[gaps > TOUCHING_MM]
    near = max(DUPLICATE * float(np.median(apart)), TOUCHING_MM) if len(apart) else TOUCHING_MM
    return np.concatenate([[0], np.cumsum(gaps > near)]).astype(int)


def _typical_spacing(depth: np.ndarray) -> float:
    """The usual distance between neighbours, refined over all gaps that are a multiple of it."""
    gaps = np.diff(depth)
    usual, smallest = float(np.sort(gaps)[(len(gaps) - 1) // 2]), float(gaps.min())
    for base in (usual, smallest):  # the smallest where most are wide
        steps = np.rint(gaps / base)
        if (steps >= 1).all() and (np.abs(gaps - steps * base) <= COUNTABLE * base).all():
            places = np.concatenate([[0], np.cumsum(steps)])
            return float(np.polyfit(places, depth, 1)[0])  # least squares: the ends may be rounded
    return float(np.median(gaps))


def _duplicate(positions: np.ndarray, places: np.ndarray, name: str) -> Refused:
    """Several slices in one place; positions (N, 3) in order."""
    count = int(places[-1]) + 1
    if count == 1:
        return Refused(
            "one-slice",
            f"{name} has {len(places)} images of one slice, at {_listed(positions[:1])}; a volume needs at least two places.",
            "choose another series; a loop over one slice is no volume",
        )
    taken = np.flatnonzero(np.bincount(places) > 1)
    first = [int(np.flatnonzero(places == place)[0]) for place in taken]
    return Refused(
        "duplicate-position",
        f"{name} has {len(places)} slices in only {count} places, and no tag tells them apart; "
        f"several lie at {_listed(positions[first])}.",
        "remove the copies, or separate the acquisitions",
    )


def _listed(positions: np.ndarray, most: int = 3) -> str:
    listed = ", ".join("(" + ", ".join(f"{v:.2f}" for v in position) + ")" for position in positions[:most])
    rest = len(positions) - most
    return f"{listed} mm" + (f" and {rest} more" if rest > 0 else "")


def _gap_fault(stack: Stack, name: str) -> Refused | None:
    count, spacing = len(stack.depth), stack.spacing
    places = np.rint(stack.depth / spacing)
    off = stack.depth - places * spacing
    is_regular = (np.abs(off - off.mean()) <= tolerance_mm(spacing)).all()
    if is_regular and places[-1] == count - 1:
        return None
    gaps = np.diff(stack.depth)
    widest = int(np.argmax(gaps))
    fix = 'fetch the series again, or set images.gaps = "resample" (--gaps resample); the record will say so'
    if is_regular:
        missing = int(places[-1]) - count + 1
        what = (
            f"{name}: slices are {spacing:.2f} mm apart, but {gaps[widest]:.2f} mm between slices {widest + 1} and {widest + 2} "
            f"(probably {missing} missing in all)."
        )
        return Refused("missing-slice", what, fix)
    what = f"{name}: the distance between neighbouring slices varies from {gaps.min():.2f} to {gaps.max():.2f} mm; expected one."
    return Refused("mixed-spacing", what, fix)


def _tilt_fault(stack: Stack, name: str) -> Refused | None:
    if not stack.is_tilted:
        return None
    what = (
        f"{name} was acquired with a tilted gantry: the slices are stacked {stack.tilt_degrees:.1f} degrees off their normal, "
        f"the last slid by {np.linalg.norm(stack.shift[-1]):.1f} mm."
    )
    if stack.tilt_degrees > STEEPEST_DEGREES:
        return Refused("gantry-tilt", what, "fetch the series again; no gantry tilts that far, so its positions are wrong")
    return Refused(
        "gantry-tilt", what, 'set images.tilt = "resample" (--tilt resample) to undo the shear; the record will say so'
    )


def _slide_fault(stack: Stack, name: str) -> Refused | None:
    """Slices that do not lie on one straight line."""
    line = stack.depth[:, None] / stack.depth[-1] * stack.shift[-1]
    off = np.abs(stack.shift - line) / np.array(stack.pixel)
    if off.max() <= ALIGNED_PIXELS:
        return None
    worst = int(off.max(axis=1).argmax())
    what = f"{name}: slice {worst + 1} lies {off.max():.1f} pixels to the side of the line through the others."
    return Refused("mixed-position", what, "separate the acquisitions, or choose another series")
