"""How the cases were sampled, and what that allows to be said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from overread.evaluation.rules import Rules
from overread.evaluation.scored import Scored, number

LIST = "PPV, NPV, accuracy, F1, average precision, Brier score, calibration error and net benefit"


def sampling_rule(rules: Rules) -> str:
    """One sentence for the list of rules."""
    stated = rules.prevalence if isinstance(rules.prevalence, Mapping) else {}
    shares = ", ".join(f"{name} {100 * share:.3g} %" for name, share in stated.items())
    at = f"; stated prevalence: {shares}" if shares else "; no prevalence is stated"
    words = {
        "consecutive": "consecutive: cases as they came, so the share of positives is that of the place they come from",
        "enriched": f"enriched: positives were sought out; {LIST} are given at a stated prevalence only",
        "unknown": "not stated",
    }
    return words[rules.sampling] + at


def sampling_notes(rules: Rules) -> list[str]:
    if rules.sampling == "unknown":
        return [
            f"How these cases were sampled is not stated. If positives were sought out, {LIST} do not hold where the model is to "
            'be used. Say "consecutive" or "enriched": sampling under [evaluation] in project.toml, or --sampling.'
        ]
    if rules.is_enriched and not rules.prevalence:
        return [
            f"The sample is enriched and no prevalence is stated, so {LIST} are not shown. State the prevalence of the place of "
            "use (prevalence = 0.02 under [evaluation] in project.toml, or --prevalence 0.02); cases are then weighed by it."
        ]
    if rules.is_enriched:
        return ["The sample is enriched: what depends on the prevalence is given at the stated one, cases weighed by it."]
    return []


def sampling_table(truths: Mapping[str, np.ndarray], rules: Rules, scores: Sequence[Scored]) -> dict[str, Any]:
    """What was stated, what share of the cases is positive, and which metrics are therefore not shown."""
    stated = rules.prevalence if isinstance(rules.prevalence, Mapping) else {}
    hidden = {s.metric.key for s in scores if rules.is_enriched and s.metric.depends_on_prevalence}
    return {
        "sampling": rules.sampling,
        "prevalence": {name: number(share) for name, share in stated.items()},
        "share_of_positives": {name: number(float(t.mean())) if len(t) else None for name, t in truths.items()},
        "not_shown": sorted(hidden),
    }
