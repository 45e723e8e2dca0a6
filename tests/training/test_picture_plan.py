"""The windows from which pictures of volumes are learned: small on a processor, the smallest where a step is costly."""

from __future__ import annotations

import numpy as np

from overread.cohort.fingerprint import Fingerprint, Intensity
from overread.core.question import Question
from overread.training.plan import Plan, make_plan
from overread.training.wishes import Wishes

TRANSLATE = Question("translate", ("mr",), units=("a.u.",), given=("ct",))
UNPAIRED = Question("translate", ("image",), units=("a.u.",), given=("image",), conditions=("ct", "mr"))
RESTORE = Question("restore", ("ct",), units=("HU",), given=("ct",), degradation="low_dose:0.25")


def plan_for(question: Question, architecture: str = "auto", device: str = "cpu") -> Plan:
    shapes, spacings = ((160.0, 160.0, 160.0),) * 5, ((1.0, 1.0, 1.0),) * 5
    level = (Intensity(50.0, 40.0, -100.0, 200.0, -1000.0, 1500.0),)
    counts = dict.fromkeys(question.conditions, 20)
    facts = Fingerprint(
        40, 40, False, True, shapes, spacings, question.given, "HU", "CT", level, (), counts, answered=level, changed=(0.1,)
    )
    return make_plan(question, facts, Wishes(architecture=architecture), device=device)


def voxels(plan: Plan) -> float:
    return float(np.prod(plan.preparation.patch))


def test_windows_follow_what_a_step_costs() -> None:
    paired, restored = voxels(plan_for(TRANSLATE)), voxels(plan_for(RESTORE))
    assert restored < paired / 2
    assert voxels(plan_for(TRANSLATE, "cycle_gan")) == restored
    unpaired = plan_for(UNPAIRED)
    assert unpaired.network["name"] == "cycle_gan"
    assert voxels(unpaired) == restored
    assert (unpaired.sampling.batch, plan_for(TRANSLATE).sampling.batch) == (1, 2)
    assert "more steps in the time teach more" in unpaired.reasons["patch"]


def test_a_graphics_card_gets_the_windows_of_its_budget() -> None:
    assert voxels(plan_for(RESTORE, device="cuda")) == voxels(plan_for(TRANSLATE, device="cuda")) > voxels(plan_for(TRANSLATE))
