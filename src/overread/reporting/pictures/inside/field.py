"""How far a unit sees, drawn on the image of a case: the energy as colour, its 95 % circle, the theoretical field as a box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.patches import Circle, Rectangle

from overread.core.grid import Grid
from overread.reporting.pictures import canvas
from overread.reporting.pictures.inside.planar import View, scaled, views

_STRONGEST = 0.65  # opacity


def field_picture(
    image: np.ndarray,
    channels: Sequence[str],
    grid: Grid,
    energy: np.ndarray,
    centre: Sequence[float],
    radius: float,
    theoretical: Sequence[int | None] | None,
    title: str,
    *,
    is_phantom: bool,
) -> bytes:
    """One plane, or the three planes through the middle of the energy.

    image        (C, Z, Y, X) normalised window
    energy       (Z, Y, X) of the same window
    centre       (z, y, x) in voxels; radius in mm, or in voxels where the spacing is unknown
    theoretical  edges of the theoretical field in voxels, one per axis; None where an edge is that of the whole image
    """
    shown = views(grid, image.shape[1:], centre)
    width = 520 if len(shown) == 1 else 940
    made = canvas.sheet([[view.shape for view in shown]], title=title, is_phantom=is_phantom, width=width)
    grey = scaled(image, channels)
    edges = None if theoretical is None else (1, *theoretical)[-3:]
    strength = np.sqrt(energy / max(float(energy.max()), 1e-300))
    for axes, view in zip(made.cells, shown, strict=True):
        pixels = view.cut(grey)
        coloured = np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels
        heat = view.cut(strength)[..., None]
        colour = colormaps["plasma"](heat[..., 0])[..., :3]
        opacity = _STRONGEST * np.clip(heat * 2, 0, 1)
        blended = (1 - opacity) * coloured + opacity * colour
        caption = view.plane.name if len(shown) > 1 else ""
        canvas.show(axes, blended, view.plane, caption, is_phantom=is_phantom, extent=view.extent)
        across, up = _place(view, centre, grid, image.shape[1:])
        axes.add_patch(Circle((across, up), radius, fill=False, edgecolor=canvas.MATCHED_COLOUR, linewidth=1.6))
        if edges is not None:
            _box(axes, view, edges, (across, up), grid)
        axes.set_xlim(view.extent[0], view.extent[1])
        axes.set_ylim(view.extent[2], view.extent[3])
    at = canvas.legend_entry(made, 8, made.height - 26, "95 % of the influence", canvas.MATCHED_COLOUR, "solid")
    if edges is not None and _fits(edges, image.shape[1:]):
        canvas.legend_entry(made, at, made.height - 26, "theoretical field", canvas.TRUTH_COLOUR, "dashed")
    elif edges is not None:
        canvas.write(made, at, made.height - 26, "theoretical field: larger than the picture")
    return canvas.png(made)


def _fits(edges: Sequence[int | None], shape: Sequence[int]) -> bool:
    return all(edge is not None and edge <= n for edge, n in zip(edges, shape, strict=True))


def _place(view: View, centre: Sequence[float], grid: Grid, shape: Sequence[int]) -> tuple[float, float]:
    """Across and up of a voxel in the coordinates of the slice, whose origin is its lower left corner."""
    height, width = [axis for axis in range(3) if axis != view.plane.normal]
    across = (centre[width] + 0.5) * grid.spacing[width]
    up = (centre[height] + 0.5) * grid.spacing[height]
    return across, view.plane.size[0] - up if view.plane.normal == 0 else up


def _box(axes: canvas.Axes, view: View, edges: Sequence[int | None], place: tuple[float, float], grid: Grid) -> None:
    """The theoretical field, as far as it lies in the slice."""
    height, width = [axis for axis in range(3) if axis != view.plane.normal]
    if edges[height] is None or edges[width] is None:
        return
    tall, wide = edges[height] * grid.spacing[height], edges[width] * grid.spacing[width]  # type: ignore[operator]
    corner = (place[0] - wide / 2, place[1] - tall / 2)
    axes.add_patch(Rectangle(corner, wide, tall, fill=False, edgecolor=canvas.TRUTH_COLOUR, linewidth=1.6, linestyle="dashed"))
