"""Pictures of some tuning cases beside their neighbours, chosen by rule."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from overread.cohort.index import Cohort
from overread.cohort.load import load_image
from overread.explanation.embedding.likeness import Plain
from overread.reporting.pictures.neighbours import Shown, neighbours_row

OF_EACH = 2
WHY = {"unlike": "the fewest neighbours have its truth", "alike": "the most do", "drawn": "drawn by chance"}

Similar = Mapping[str, Sequence[Mapping[str, Any]]]


def chosen(case_ids: Sequence[str], similar: Similar, truths: Mapping[str, Plain]) -> list[tuple[str, str]]:
    """(why, case_id): two whose neighbours differ most from them in the words of the truth, two whose differ least, two drawn."""
    drawn = sorted(case_ids, key=lambda case_id: hashlib.sha256(case_id.encode()).digest())
    shares = {i: sum(n["truth"] == truths[i].words for n in similar[i]) / max(len(similar[i]), 1) for i in drawn if similar[i]}
    by_share = sorted(shares, key=lambda i: shares[i])  # stable: ties stand as drawn
    wishes = {"unlike": by_share, "alike": by_share[::-1], "drawn": list(shares)}
    taken: list[tuple[str, str]] = []
    for why, order in wishes.items():
        free = [i for i in order if i not in {case_id for _, case_id in taken}]
        taken += [(why, i) for i in free[:OF_EACH]]
    return taken


def examples(
    cohort: Cohort, case_ids: Sequence[str], similar: Similar, truths: Mapping[str, Plain]
) -> tuple[list[dict[str, str]], dict[str, bytes]]:
    """What is drawn and why, and the PNG of each by file name."""
    listed, pictures = [], {}
    for why, case_id in chosen(case_ids, similar, truths):
        shown = [Shown(load_image(cohort, cohort.case(case_id)), truths[case_id].words)]
        for near in similar[case_id]:
            image = load_image(cohort, cohort.case(near["case_id"]))
            shown.append(Shown(image, f"{near['distance']:.2f}: {near['truth']}"))
        name = f"similar-{case_id}.png"
        pictures[name] = neighbours_row(
            shown, f"Case {case_id}, on the left, and its nearest training cases", is_phantom=cohort.is_phantom
        )
        listed.append({"file": name, "case_id": case_id, "why": WHY[why], "truth": truths[case_id].words})
    return listed, pictures
