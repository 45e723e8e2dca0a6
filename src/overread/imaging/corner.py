"""A word in the corner of a picture: whoever sees only its pixels sees that a network made or changed them."""

from __future__ import annotations

import numpy as np

from overread.core.errors import OverreadError
from overread.imaging.made import DERIVED, SYNTHETIC

LETTERS = {  # 3 x 5 dots, row by row
    "A": ("010", "101", "111", "101", "101"),
    "C": ("011", "100", "100", "100", "011"),
    "D": ("110", "101", "101", "101", "110"),
    "E": ("111", "100", "110", "100", "111"),
    "H": ("101", "101", "111", "101", "101"),
    "I": ("111", "010", "010", "010", "111"),
    "N": ("110", "101", "101", "101", "101"),
    "R": ("110", "101", "110", "101", "101"),
    "S": ("011", "100", "010", "001", "110"),
    "T": ("111", "010", "010", "010", "010"),
    "V": ("101", "101", "101", "101", "010"),
    "Y": ("101", "101", "010", "010", "010"),
    " ": ("000", "000", "000", "000", "000"),
}
WRITTEN = {SYNTHETIC: ("SYNTHETIC", "SYN"), DERIVED: ("AI DERIVED", "AI")}  # where there is room, and in small pictures
PIXELS_PER_DOT = 128  # of the shorter side
WIDEST = 0.6  # share of the width that the long word may take


def with_corner(pixels: np.ndarray, kind: str, dark: float, bright: float) -> np.ndarray:
    """A copy with the word in its lower right corner, bright on a dark field.

    pixels        (Y, X) or (Y, X, 3)
    kind          "synthetic" or "derived"
    dark, bright  values of the field and of the letters
    """
    rows, columns = pixels.shape[:2]
    dots = _field(kind, rows, columns)
    height, width = dots.shape
    if height > rows or width > columns:
        raise OverreadError(
            f"A picture of {rows} x {columns} pixels is too small for a mark in its corner, which takes {height} x {width}.",
            "decline the mark with a reason (reason_without_corner); the file itself stays marked",
        )
    marked = pixels.copy()
    marked[rows - height :, columns - width :] = np.where(dots, bright, dark).reshape(height, width, *(1,) * (pixels.ndim - 2))
    return marked


def _field(kind: str, rows: int, columns: int) -> np.ndarray:
    """(height, width) bool: the letters with a margin of one dot around them."""
    scale = max(1, round(min(rows, columns) / PIXELS_PER_DOT))
    long, short = WRITTEN[kind]
    dots = np.pad(_word(long), 1)
    if dots.shape[1] * scale > WIDEST * columns:
        dots = np.pad(_word(short), 1)
    return np.kron(dots, np.ones((scale, scale), bool)).astype(bool)


def _word(text: str) -> np.ndarray:
    letters = [np.array([[dot == "1" for dot in row] for row in LETTERS[letter]]) for letter in text]
    gap = np.zeros((5, 1), bool)
    return np.concatenate([part for letter in letters for part in (letter, gap)][:-1], axis=1)
