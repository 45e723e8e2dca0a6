"""Images that show nothing: every pixel has one value, as an exposure that failed or a file that was cut short leaves it."""

from __future__ import annotations

from collections.abc import Mapping

from overread.audit.audited import Audited
from overread.audit.concern import Concern, counted_as
from overread.audit.sketch import Sketch


def look_for_blank(audited: Audited, sketches: Mapping[str, Sketch]) -> list[Concern]:
    """One concern with all blank images; they are no copies of each other, so leaks do not count them."""
    blank = [case for case in audited.cases if case.case_id in sketches and sketches[case.case_id].is_blank]
    if not blank:
        return []
    return [
        Concern(
            "blank-images",
            "acquisition",
            "warning",
            f"{counted_as(len(blank), 'image shows', 'images show')} nothing: every pixel has one value.",
            "They teach nothing, and in a test whatever is answered of them is a guess.",
            "Certain of the pixels as they were read.",
            "Look at these files at their source; leave them out, with the reason.",
            {"images": len(blank), "of": len(sketches)},
            cases=[(case.case_id,) for case in blank],
            partitions=[p for p in audited.partitions if any(case.partition == p for case in blank)],
        )
    ]
