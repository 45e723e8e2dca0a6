"""Which image a DICOM object speaks of: by series, by image, by frame of reference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from overread.cohort.draft import Draft
from overread.imaging.dicom.header import read_header


class Images:
    """The SOP Instance UIDs of each draft's files, read when first asked for."""

    def __init__(self, drafts: Sequence[Draft], folder: Path) -> None:
        self._drafts, self._folder = drafts, folder
        self._known: dict[int, dict[str, str]] = {}
        self.by_series: dict[str, list[int]] = defaultdict(list)
        self.by_frame: dict[str, list[int]] = defaultdict(list)
        for k, draft in enumerate(drafts):
            if draft.images[0].format == "dicom":
                self.by_series[str(draft.attributes.get("series") or "")].append(k)
                self.by_frame[str(draft.attributes.get("frame_of_reference") or "")].append(k)

    def files(self, draft: int) -> dict[str, str]:
        """SOP Instance UID -> file, relative to the image folder."""
        if draft not in self._known:
            first = self._drafts[draft].images[0]
            files = first.files if first.format == "dicom" else ()
            self._known[draft] = {read_header(self._folder / file).sop_uid: file for file in files}
        return self._known[draft]

    def in_series(self, uids: Sequence[str]) -> list[int]:
        return [k for uid in uids if uid for k in self.by_series.get(uid, ())]

    def naming(self, uids: frozenset[str]) -> list[int]:
        """Drafts that hold at least one of these images."""
        return [k for k in range(len(self._drafts)) if uids & self.files(k).keys()] if uids else []

    def join(self, series: Sequence[str], uids: frozenset[str], frames: Iterable[str]) -> list[int]:
        """Drafts that an object speaks of: by series, else by image, else the only one in its frame of reference."""
        hits = self.in_series(series) or self.naming(uids)
        if hits:
            return hits
        hits = [k for uid in frames if uid for k in self.by_frame.get(uid, ())]
        return hits if len(hits) == 1 else []
