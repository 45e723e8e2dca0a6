"""A limitation of a study, with what called for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limitation:
    """A sentence for the discussion, and the part of the record that called for it."""

    sentence: str
    because: str
