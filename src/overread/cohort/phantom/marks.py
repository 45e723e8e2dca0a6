"""Letters drawn into pixels: the marker of a planted fault and the mark in the corner of every PNG."""

from __future__ import annotations

import numpy as np

FONT = {  # 5 x 7 dots
    "P": ("11110", "10001", "10001", "11110", "10000", "10000", "10000"),
    "H": ("10001", "10001", "10001", "11111", "10001", "10001", "10001"),
    "A": ("01110", "10001", "10001", "11111", "10001", "10001", "10001"),
    "N": ("10001", "11001", "10101", "10011", "10001", "10001", "10001"),
    "T": ("11111", "00100", "00100", "00100", "00100", "00100", "00100"),
    "O": ("01110", "10001", "10001", "10001", "10001", "10001", "01110"),
    "M": ("10001", "11011", "10101", "10101", "10001", "10001", "10001"),
    "R": ("11110", "10001", "10001", "11110", "10100", "10010", "10001"),
    "L": ("10000", "10000", "10000", "10000", "10000", "10000", "11111"),
}


def word(text: str, scale: int = 1) -> np.ndarray:
    """(7 * scale, 6 * letters * scale) bool dots of a word."""
    columns = []
    for letter in text:
        columns += [np.array([[dot == "1" for dot in row] for row in FONT[letter]]), np.zeros((7, 1), bool)]
    return np.kron(np.concatenate(columns, axis=1), np.ones((scale, scale), bool)).astype(bool)


def burn(image: np.ndarray, text: str, value: float, corner: str) -> None:
    """Write a word into (..., Y, X) pixels in place; corner "upper left" or "lower right"."""
    scale = max(1, image.shape[-1] // 200)
    dots = word(text, scale)
    height, width = dots.shape
    edge = max(2, image.shape[-1] // 40)
    top = edge if corner.startswith("upper") else image.shape[-2] - edge - height
    left = edge if corner.endswith("left") else image.shape[-1] - edge - width
    image[..., top : top + height, left : left + width][..., dots] = value
