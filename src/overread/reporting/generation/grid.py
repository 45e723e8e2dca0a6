"""Grids of made images: beside their nearest training images, over the training, between two cases, along what was learned.

All functions take arrays and give a PNG. Images are (..., Y, X), or (..., Z, Y, X) of which the middle slice is shown; every made
one is marked SYNTHETIC, every changed one AI DERIVED. One window holds for all images of a sheet, so that a grey means the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.core.errors import OverreadError
from overread.imaging.made import DERIVED
from overread.reporting.generation.tiles import Tile, sheet_of

COPY = "nearer than real to real"
_COLUMNS = 8


def made_grid(
    made: np.ndarray, *, title: str, words: Sequence[str] = (), columns: int = _COLUMNS, is_phantom: bool = False
) -> bytes:
    """made (N, [Z,] Y, X); words: a line below each, such as its class."""
    shown = _grey(made, _window(made), 1)
    tiles = [Tile(one, (words[k],) if words else ()) for k, one in enumerate(shown)]
    rows = [tiles[k : k + columns] for k in range(0, len(tiles), columns)]
    return sheet_of(rows, title, is_phantom=is_phantom)


def nearest_grid(
    made: np.ndarray,
    neighbours: np.ndarray,
    distances: np.ndarray,
    *,
    names: Sequence[Sequence[str]] = (),
    usual: float | None = None,
    title: str,
    is_phantom: bool = False,
) -> bytes:
    """Each made image in a row with its K nearest training images: is any of them a copy?

    made        (N, [Z,] Y, X)
    neighbours  (N, K, [Z,] Y, X) nearest first, in the same intensities
    distances   (N, K) rising in each row
    names       N rows of K pseudonyms of the training cases
    usual       the distance below which few training images have their nearest training image of another patient; what lies
                nearer is framed
    """
    if distances.shape != neighbours.shape[:2] or len(made) != len(neighbours):
        raise OverreadError(
            f"{len(made)} made images need as many rows of neighbours, with a distance each; got {neighbours.shape[:2]} "
            f"neighbours and {distances.shape} distances."
        )
    window = _window(neighbours)
    shown, beside = _grey(made, window, 1), _grey(neighbours, window, 2)
    rows = []
    for k, one in enumerate(shown):
        is_near = usual is not None and bool(distances[k, 0] < usual)
        row = [Tile(one, (COPY,) if is_near else (), is_alarming=is_near)]
        for place, picture in enumerate(beside[k]):
            name = (names[k][place],) if names else ()
            row.append(Tile(picture, (f"distance {distances[k, place]:.3g}", *name), made=None))
        rows.append(row)
    columns = ("made", *(f"nearest {k + 1}" if k else "nearest training image" for k in range(beside.shape[1])))
    return sheet_of(rows, title, column_names=columns, is_phantom=is_phantom)


def translated_grid(
    before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
    like: Sequence[np.ndarray],
    *,
    kinds: tuple[str, str],
    names: Sequence[str],
    title: str,
    is_phantom: bool = False,
) -> bytes:
    """Images of one kind, what became of them, and real images of the kind that was wanted, of other patients.

    before, after, like  N images ([Z,] Y, X) each, of any size; one window holds for what was read, another for the rest
    names                pseudonyms of the cases that were read
    """
    read, wanted = _window(_flat(before)), _window(_flat([*like, *after]))
    rows = []
    for name, one, made, real in zip(names, before, after, like, strict=True):
        windows = ((one, read), (made, wanted), (real, wanted))
        first, second, third = (_grey(image[None], window, 1)[0] for image, window in windows)
        rows.append(
            [
                Tile(first, (name,), made=None),
                Tile(second, (f"{name}, translated",), made=DERIVED),
                Tile(third, ("another patient",), made=None),
            ]
        )
    columns = (f"real {kinds[0]}", f"as {kinds[1]}", f"real {kinds[1]}")
    return sheet_of(rows, title, column_names=columns, is_phantom=is_phantom)


def _flat(images: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([image.ravel() for image in images])


def looks_grid(made: np.ndarray, looks: Sequence[int], seeds: Sequence[int], *, title: str, is_phantom: bool = False) -> bytes:
    """made (L, S, [Z,] Y, X): a row per look during training, a column per seed, the same seeds throughout."""
    _check_table(made, looks, seeds, "looks", "seeds")
    shown = _grey(made, _window(made[-1]), 2)
    rows = [[Tile(one) for one in row] for row in shown]
    names = [f"look {number}" for number in looks]
    return sheet_of(rows, title, row_names=names, column_names=[f"seed {seed}" for seed in seeds], is_phantom=is_phantom)


def interpolation_strip(
    first: np.ndarray,
    between: np.ndarray,
    last: np.ndarray,
    shares: Sequence[float],
    *,
    names: tuple[str, str],
    title: str,
    is_phantom: bool = False,
) -> bytes:
    """Two cases, and what the network makes of the way from one to the other.

    first, last  ([Z,] Y, X) the cases as they are
    between      (N, [Z,] Y, X) decoded at each share of the way, 0 to 1; the ends too, so that what decoding costs is seen
    names        pseudonyms of the two cases
    """
    if len(between) != len(shares):
        raise OverreadError(f"{len(between)} images need as many shares of the way; got {len(shares)}.")
    window = _window(np.stack([first, last]))
    ends = _grey(np.stack([first, last]), window, 1)
    made = [Tile(one, (f"{share:.0%} of the way",)) for one, share in zip(_grey(between, window, 1), shares, strict=True)]
    row = [Tile(ends[0], (names[0], "as it is"), made=None), *made]
    row.append(Tile(ends[1], (names[1], "as it is"), made=None))
    return sheet_of([row], title, is_phantom=is_phantom)


def walk_grid(
    made: np.ndarray, dimensions: Sequence[str], values: Sequence[float], *, title: str, is_phantom: bool = False
) -> bytes:
    """made (D, V, [Z,] Y, X): a row per latent dimension, a column per value in standard deviations."""
    _check_table(made, dimensions, values, "dimensions", "values")
    rows = [[Tile(one) for one in row] for row in _grey(made, _window(made), 2)]
    columns = [f"{value:+g} SD" if value else "0" for value in values]
    return sheet_of(rows, title, row_names=dimensions, column_names=columns, is_phantom=is_phantom)


def _check_table(made: np.ndarray, rows: Sequence[object], columns: Sequence[object], of_rows: str, of_columns: str) -> None:
    if made.shape[:2] != (len(rows), len(columns)):
        raise OverreadError(
            f"{len(rows)} {of_rows} and {len(columns)} {of_columns} need a table of as many images; got {made.shape[:2]}."
        )


def _window(images: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(images, [0.5, 99.5])
    return float(low), float(max(high, low + 1e-6))


def _grey(images: np.ndarray, window: tuple[float, float], lead: int) -> np.ndarray:
    """(*lead, [Z,] Y, X) to (*lead, Y, X), 0 to 1."""
    flat = images[(slice(None),) * lead + (images.shape[lead] // 2,)] if images.ndim == lead + 3 else images
    low, high = window
    return np.clip((flat.astype(np.float32) - low) / (high - low), 0, 1)
