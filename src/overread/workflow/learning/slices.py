"""While a model answers cases, which slices its answers rest on is kept beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from overread.batches.prepare import Prepared
from overread.core.image import Image
from overread.core.slices import SliceShare
from overread.evaluation.sources.slices_file import NAME, write_slices
from overread.reading.answering import Answering
from overread.reading.slices import KEPT, influential, reads_slices


@dataclass
class SliceLog:
    """case_id -> its most influential planes; stays empty for a model that tells none."""

    told: dict[str, tuple[SliceShare, ...]] = field(default_factory=dict)

    def note(self, case_id: str, answering: Answering, image: Image, prepared: Prepared) -> None:
        if reads_slices(answering):
            self.told[case_id] = influential(answering, prepared, image, KEPT)

    def finish(self, folder: Path, answered: Iterable[str]) -> None:
        """Write those of the cases that were answered; nothing where none were told."""
        if self.told:
            write_slices(folder / NAME, {case_id: self.told[case_id] for case_id in answered if case_id in self.told})
