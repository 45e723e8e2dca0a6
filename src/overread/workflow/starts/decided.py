"""A plan with where it begins: the network that the weights fit, what they fill, what is frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from overread.cohort.fingerprint import Fingerprint
from overread.core.question import Question
from overread.networks.weights import Loaded
from overread.training.freezing import refuse_frozen_noise, table_of_stages, words_of_stages
from overread.training.plan import Plan, make_plan
from overread.training.recipe import freezing_of
from overread.training.wishes import Wishes
from overread.workflow.starts.start import Start, begin
from overread.workflow.starts.wishes import fitted


@dataclass(frozen=True)
class Begun:
    """The network of a plan before its first step.

    loaded  what it was given; None where all is random
    rows    a row per stage, from the entry to the head; see `table_of_stages`
    """

    network: nn.Module
    loaded: Loaded | None
    rows: tuple[Mapping[str, Any], ...]


def decided(question: Question, facts: Fingerprint, wishes: Wishes, start: Start, device: str) -> Plan:
    """The plan for these cases, with the network that the weights were made for where nobody chose another."""
    wishes, reasons = fitted(wishes, start, question, is_planar=facts.is_planar)
    made = make_plan(question, facts, wishes, device=device, is_pretrained=start.is_pretrained)
    return replace(made, reasons={**made.reasons, **reasons})


def begun(plan: Plan, start: Start) -> Begun:
    """Build the network and load what it begins with; frozen noise is refused."""
    network, loaded = begin(plan.network, start)
    states = None if loaded is None else {name: loaded.state_of(name) for name, _ in network.named_parameters()}
    rows = table_of_stages(network, freezing_of(plan), states)
    refuse_frozen_noise(rows)
    return Begun(network, loaded, rows)


def with_start(plan: Plan, start: Start) -> Plan:
    """The plan with what its weights fill, stage by stage; as it is where all is random and taught alike."""
    if start.is_random and plan.layer_decay == 1.0:
        return plan
    found = begun(plan, start)
    if found.loaded is None:
        return replace(plan, expected={**plan.expected, "stages": words_of_stages(found.rows)})
    reasons = {**plan.reasons, "weights": _told(found.loaded, start)}
    return replace(plan, reasons=reasons, expected={**plan.expected, "stages": words_of_stages(found.rows)})


def event_of(found: Begun, start: Start) -> dict[str, Any]:
    """What the record of a run says of its beginning; no names of files beside the plan's."""
    assert found.loaded is not None
    return {
        "what": f"{start.told}: {_told(found.loaded, start)}",
        "from": start.told,
        "counts": found.loaded.as_dict(),
        "licence": found.loaded.licence,
        "is_pretrained": start.is_pretrained,
        "notes": list(start.notes),
        "stages": [dict(row) for row in found.rows],
    }


def _told(loaded: Loaded, start: Start) -> str:
    licence = f"licence of the weights: {loaded.licence}" if loaded.licence else ""
    return "; ".join(part.rstrip(".") for part in (str(loaded), *start.notes, licence) if part)
