"""Pictures of the worst cases, in one grey scale and one scale of colours."""

from __future__ import annotations

from collections.abc import Sequence

from overread.core.errors import OverreadError
from overread.reporting.generation.anomaly_panel import Panel, anomaly_panel
from overread.workflow.anomalies.judged import Judged

SAID = {True: ", abnormal", False: ", normal", None: ""}


def pictures_of(ranked: Sequence[Judged], threshold: float, *, is_phantom: bool) -> dict[str, bytes]:
    """File name -> PNG, worst first."""
    shown = [one for one in ranked if one.seen is not None]
    if not shown:
        raise OverreadError("There is no case to draw.", "give cases")
    pictures = {}
    for place, one in enumerate(shown, 1):
        seen = one.seen
        assert seen is not None
        title = f"{one.case_id}{SAID[one.is_abnormal]}: {one.score:.1f} beyond the usual, " + (
            "alarm" if one.is_alarm else "no alarm"
        )
        panel = Panel(seen.looked.seen, seen.looked.answer, seen.beyond, seen.framed, seen.looked.prepared.grid, threshold)
        pictures[f"case-{place:02d}.png"] = anomaly_panel(panel, title, is_phantom=is_phantom)
    return pictures
