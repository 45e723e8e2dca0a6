"""Text burned into pixels: where it may be. A finding is a proposal for a person who looks; no finding is no proof.

Own method. An image is brought to 8 bits and at most 1,024 pixels; small things much brighter, or much darker, than
what is around them (white and black top-hat) are kept as connected components; components of the size and filling of
letters that stand beside each other in a row make a region. Near the border three letters are enough, as scanners
write there; elsewhere it takes six.

    find_text(frame)      regions of one frame
    doubts(tags)          reasons for which an image is always listed, whatever its pixels
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

Box = tuple[int, int, int, int]  # y0, x0, y1, x1 in pixels of the frame; the ends are not inside

LARGEST_SIDE = 1024
CONTRAST = 0.3  # of the range of the image, between a letter and its surroundings
STROKE = 9  # pixels: the top-hat keeps what is thinner
LETTER_HEIGHT = (5, 40)
LETTER_WIDTH = (1, 45)
FILLING = (0.08, 0.95)  # share of a letter's box that is ink
BORDER = 0.2  # share of a side that counts as its border
IN_BORDER, ANYWHERE = 3, 6  # letters that make a row
MOST_COMPONENTS = 4000  # more than this is noise or bone texture, not text
MARGIN = 3

OFTEN_WITH_TEXT = {
    "US": "ultrasound",
    "IVUS": "ultrasound",
    "SC": "secondary capture",
    "OT": "an image of unnamed origin",
    "DOC": "a document",
    "ES": "endoscopy",
    "XC": "a photograph",
    "GM": "microscopy",
    "SM": "microscopy with a slide label",
    "OP": "ophthalmology",
    "OPT": "ophthalmology",
    "XA": "fluoroscopy",
    "RF": "fluoroscopy",
    "CR": "a digitised or stored film",
    "ECG": "a trace",
}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
VIDEO = ("1.2.840.10008.1.2.4.10",)  # MPEG-2, MPEG-4 and HEVC: 1.2.840.10008.1.2.4.100 to .108


def doubts(tags: Dataset) -> tuple[str, ...]:
    """Why a person must look at this image, from its tags alone."""
    reasons = []
    if str(tags.get("BurnedInAnnotation", "")).upper() == "YES":
        reasons.append("its tags say that text is burned in")
    modality = str(tags.get("Modality", ""))
    if str(tags.get("SOPClassUID", "")).startswith(SECONDARY_CAPTURE):
        reasons.append("secondary capture")
    elif modality in OFTEN_WITH_TEXT:
        reasons.append(OFTEN_WITH_TEXT[modality])
    if tags.get("SamplesPerPixel", 1) == 3 and not reasons:
        reasons.append("a colour image")
    if str(getattr(tags.file_meta, "TransferSyntaxUID", "")).startswith(VIDEO):
        reasons.append("a video, whose frames were not looked at")
    return tuple(reasons)


def find_text(frame: np.ndarray) -> list[Box]:
    """Regions of a frame that look like text.

    frame  (Y, X) grey or (Y, X, 3) colour, any number type
    """
    grey = _grey(frame)
    step = -(-max(grey.shape) // LARGEST_SIDE)
    small = grey[: grey.shape[0] // step * step, : grey.shape[1] // step * step]
    small = small.reshape(small.shape[0] // step, step, small.shape[1] // step, step).mean((1, 3))
    if min(small.shape) < 2 * STROKE:
        return []
    low, high = np.percentile(small, [0.05, 99.95])
    if high <= low:
        low, high = float(small.min()), float(small.max())
    if high <= low:
        return []
    scaled = np.clip((small - low) / (high - low), 0, 1).astype(np.float32)
    rows: list[Box] = []
    for hat in (ndimage.white_tophat, ndimage.black_tophat):
        rows += _rows(_letters(hat(scaled, size=(STROKE, STROKE)) > CONTRAST), scaled.shape)
    return [_enlarged(box, step, grey.shape) for box in _merged(rows)]


def _grey(frame: np.ndarray) -> np.ndarray:
    values = frame.astype(np.float32)
    return values.max(axis=2) if values.ndim == 3 else values


def _letters(ink: np.ndarray) -> list[Box]:
    """Connected components with the size and filling of a letter."""
    labels, count = ndimage.label(ink, np.ones((3, 3)))
    if count > MOST_COMPONENTS:
        return []
    letters = []
    areas = np.bincount(labels.ravel())
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        y0, y1, x0, x1 = place[0].start, place[0].stop, place[1].start, place[1].stop
        height, width = y1 - y0, x1 - x0
        fits = LETTER_HEIGHT[0] <= height <= LETTER_HEIGHT[1] and LETTER_WIDTH[0] <= width <= LETTER_WIDTH[1]
        if fits and FILLING[0] <= areas[number] / (height * width) <= (1.0 if width <= 3 else FILLING[1]):
            letters.append((y0, x0, y1, x1))
    return letters


def _rows(letters: Sequence[Box], shape: Sequence[int]) -> list[Box]:
    """Letters of like height beside each other on one line."""
    rows: list[list[Box]] = []
    for letter in sorted(letters, key=lambda box: box[1]):
        for row in rows:
            if _continues(row[-1], letter):
                row.append(letter)
                break
        else:
            rows.append([letter])
    found = []
    for row in rows:
        y0, x0 = min(b[0] for b in row), min(b[1] for b in row)
        y1, x1 = max(b[2] for b in row), max(b[3] for b in row)
        if len(row) >= (IN_BORDER if _is_at_border((y0, x0, y1, x1), shape) else ANYWHERE):
            found.append((y0, x0, y1, x1))
    return found


def _continues(last: Box, letter: Box) -> bool:
    tall, short = sorted((last[2] - last[0], letter[2] - letter[0]), reverse=True)
    overlap = min(last[2], letter[2]) - max(last[0], letter[0])
    gap = letter[1] - last[3]
    return tall <= 2 * short and overlap >= 0.6 * short and -2 <= gap <= 1.5 * tall


def _is_at_border(box: Box, shape: Sequence[int]) -> bool:
    y, x = (box[0] + box[2]) / 2 / shape[0], (box[1] + box[3]) / 2 / shape[1]
    return min(y, 1 - y, x, 1 - x) < BORDER


def _merged(boxes: Sequence[Box]) -> list[Box]:
    """Boxes that touch become one."""
    result: list[Box] = []
    for box in boxes:
        merged = box
        for other in [b for b in result if _touch(b, merged)]:
            result.remove(other)
            merged = (min(merged[0], other[0]), min(merged[1], other[1]), max(merged[2], other[2]), max(merged[3], other[3]))
        result.append(merged)
    return sorted(result)


def _touch(a: Box, b: Box) -> bool:
    return a[0] <= b[2] + MARGIN and b[0] <= a[2] + MARGIN and a[1] <= b[3] + MARGIN and b[1] <= a[3] + MARGIN


def _enlarged(box: Box, step: int, shape: Sequence[int]) -> Box:
    """To pixels of the full image, with a margin."""
    y0, x0, y1, x1 = (value * step for value in box)
    return max(y0 - MARGIN, 0), max(x0 - MARGIN, 0), min(y1 + MARGIN, shape[0]), min(x1 + MARGIN, shape[1])
