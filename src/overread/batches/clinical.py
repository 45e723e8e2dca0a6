"""A row of a sheet as the numbers that a network reads, and how these travel: as further channels behind those of the image.

This is the only place where it happens; training and reading both come here. The channels are put on last, after augmentation
and after preparation, so that nothing that is done to an image is ever done to an age.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from overread.cohort.clinical import cell
from overread.cohort.numbers import as_number
from overread.core.clinical import NUMBER, Clinical, Variable
from overread.core.errors import Refused


def told(row: Mapping[str, Any], clinical: Clinical) -> np.ndarray:
    """(D,) float32: of a number how many standard deviations it lies from the mean, and 0; of a word 1 at its level.

    A value that is missing is the mean, or no level, and 1 at "missing". Text where numbers were learned is refused.
    """
    values = np.zeros(clinical.width, dtype=np.float32)
    for variable, span in zip(clinical.variables, clinical.spans, strict=True):
        values[span] = _numbers_of(cell(row, variable.name), variable)
    return values


def absent(clinical: Clinical) -> np.ndarray:
    """(D,) float32 of a case of which nothing is known."""
    return told({}, clinical)


def missing(row: Mapping[str, Any], clinical: Clinical) -> tuple[str, ...]:
    """Variables of which the row says nothing."""
    return tuple(variable.name for variable in clinical.variables if not cell(row, variable.name))


def level_of(text: str, levels: Sequence[str]) -> int | None:
    """Which level a word is, whatever its case; None for one that training never held."""
    return next((k for k, level in enumerate(levels) if level.casefold() == text.casefold()), None)


def _numbers_of(text: str, variable: Variable) -> np.ndarray:
    numbers = np.zeros(variable.width, dtype=np.float32)
    if not text:
        numbers[-1] = 1
    elif variable.kind == NUMBER:
        number = as_number(text, decimal_comma=True)
        if number is None:
            raise Refused(
                "clinical",
                f"'{variable.name}' is '{text}'; a number was expected, as in training ({variable.low:g} to {variable.high:g}).",
                "correct the value, or leave it out: a missing value is read as such",
            )
        numbers[0] = (number - variable.mean) / variable.sd
    else:
        level = level_of(text, variable.levels)
        numbers[len(variable.levels) if level is None else level] = 1
    return numbers


def hidden(values: np.ndarray, clinical: Clinical, rate: float, random: np.random.Generator) -> np.ndarray:
    """(B, D) with some values made missing: of a share `rate` of the cases all, and of each variable the same share beside.

    So a network learns what to answer without them. Source: modality dropout, Neverova et al., TPAMI 2016, arXiv:1501.00102.
    """
    if rate <= 0:
        return values
    without, result = absent(clinical), values.copy()
    whole = random.random(len(values)) < rate
    for span in clinical.spans:
        gone = whole | (random.random(len(values)) < rate)
        result[gone, span] = without[span]
    return result


def with_clinical(images: Tensor, values: np.ndarray | Tensor | None) -> Tensor:
    """(B, C, [Z,] Y, X) and (B, D) to (B, C + D, [Z,] Y, X); the images themselves where there are no values."""
    if values is None:
        return images
    numbers = torch.as_tensor(values, dtype=images.dtype, device=images.device)
    spread = numbers.reshape(*numbers.shape, *[1] * (images.ndim - 2)).expand(-1, -1, *images.shape[2:])
    return torch.cat([images, spread], 1)


def stacked(several: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """(B, D) of B cases; None where they have no values."""
    known = [values for values in several if values is not None]
    return np.stack(known) if known else None
