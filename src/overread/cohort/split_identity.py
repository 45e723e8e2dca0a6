"""Who a model was told to learn from, as values that two projects over the same images share.

The digest of a version of a cohort holds truths, and `splits.json` how the split was drawn, so neither is the same for two
questions about the same patients on the same split. These digests hold pixels alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from overread.cohort.index import read_index
from overread.record.files import digest_json

HELD_OUT = ("tuning", "internal")


def trained_on(project_dir: Path, partition: Mapping[str, str], fold: int | None) -> dict[str, Any]:
    """What a model says of the cases it was trained with.

    partition  case_id -> "training", "tuning" or "internal", of this fold
    returns    cohort: digest of the images that have a place, in whatever partition; split: digest of those that are held out
    Images that a network made count in neither.
    """
    digests = {row.case.case_id: row.digest for row in read_index(project_dir) if not row.case.is_made}
    place = {case_id: part for case_id, part in partition.items() if case_id in digests}
    held = sorted(digests[case_id] for case_id, part in place.items() if part in HELD_OUT)
    return {"cohort": digest_json(sorted(digests[case_id] for case_id in place)), "fold": fold, "split": digest_json(held)}
