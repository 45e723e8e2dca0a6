"""Clinical variables in a plan: how they are fused with the image, and how often they are hidden; each with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from overread.batches.augment import Augmentation
from overread.cohort.fingerprint import Fingerprint
from overread.core.clinical import NUMBER, Variable
from overread.core.errors import OverreadError
from overread.core.preparation import Preparation
from overread.networks.fusion.fused import SUMMARY
from overread.training.wishes import Wishes

HIDDEN = 0.1  # of the values: seldom enough to cost little, often enough to be learned
WHY_FUSED = {
    "concatenation": f"the image becomes {SUMMARY} numbers, the values as many, and a small head reads both side by side",
    "modulation": f"the image becomes {SUMMARY} numbers, each of which the values scale and shift",
}


def with_clinical(
    facts: Fingerprint,
    wishes: Wishes,
    preparation: Preparation,
    network: dict[str, Any],
    augmentation: Augmentation,
    reasons: dict[str, str],
) -> tuple[Preparation, dict[str, Any], Augmentation]:
    """The three with the clinical variables that were fitted on the training cases; as they are where there are none."""
    clinical = facts.clinical
    if clinical is None:
        if augmentation.hide_clinical:
            raise OverreadError(
                "[training.augmentation] hide_clinical hides clinical values, and [training] clinical names none.",
                "take the line out, or name columns of the sheet under [training] clinical",
            )
        return preparation, network, augmentation
    if not 0 <= augmentation.hide_clinical < 1:
        raise OverreadError(
            f"[training.augmentation] hide_clinical = {augmentation.hide_clinical} is no chance.",
            "give a number from 0 to less than 1, such as 0.1",
        )
    is_said = wishes.augmentation.get("hide_clinical", "auto") != "auto"
    rate = augmentation.hide_clinical if is_said else HIDDEN
    reasons["clinical"] = "; ".join(_in_words(variable, facts.n_cases) for variable in clinical.variables)
    reasons["fusion"] = WHY_FUSED[wishes.fusion]
    reasons["hide_clinical"] = (
        f"{'set in project.toml' if is_said else 'usual'}: so that the network learns to answer where a value is missing; each "
        f"value is hidden in {rate:.0%} of the training images, and all of them together in as many"
    )
    fusion = {"by": wishes.fusion, "values": clinical.width, "summary": SUMMARY}
    return replace(preparation, clinical=clinical), {**network, "fusion": fusion}, replace(augmentation, hide_clinical=rate)


def _in_words(variable: Variable, cases: int) -> str:
    known = f"known of {variable.known} of {cases} training cases"
    if variable.kind == NUMBER:
        return f"{variable.name}, a number, {variable.low:g} to {variable.high:g} in training, {known}"
    return f"{variable.name}, one of {', '.join(variable.levels)} (any other word is 'other'), {known}"
