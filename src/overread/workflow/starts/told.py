"""What a run began with, as others tell it: model cards, comparisons, charts. No torch is needed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from overread.record.events import read_events
from overread.record.run import RunFolder

OWN = "as the training data allow"
BEGAN = f"{OWN}; training began with weights whose licence is: "


def start_told(run: RunFolder) -> dict[str, Any]:
    """The record of what was loaded before the first step; empty where all was random."""
    events = read_events(run.events_path) if run.events_path.exists() else []
    found = [event for event in events if event["event"] == "weights"]
    if not found:
        return {}
    kept = ("from", "what", "counts", "licence", "is_pretrained", "notes", "stages")
    return {name: found[-1][name] for name in kept if name in found[-1]}


def licences_from(start: Mapping[str, Any]) -> dict[str, str]:
    """Of code and weights; those that training began with keep their terms."""
    theirs = str(start.get("licence") or "not stated by their source")
    weights = theirs if theirs == OWN or theirs.startswith(BEGAN) else f"{BEGAN}{theirs}"
    return {"code": "Apache-2.0", "weights": weights}


def before_that(training: Mapping[str, Any]) -> tuple[str, ...]:
    """What a model's own training began with, and what was known of it there; empty where it began at random.

    training  of a model card
    """
    start = training.get("start")
    if not start:
        return ()
    words = f"Its own training began with {'published weights' if start['from'] == 'hub' else start['from']}"
    return tuple(f"{words}, of which it was told: {note}" for note in start.get("notes", ())) or (f"{words}.",)


def start_beside(path: Path) -> dict[str, str]:
    """`start` of the run in whose folder a file lies, in words; empty where no plan lies there."""
    plan = path.parent / "plan.toml"
    plans = [plan] if plan.is_file() else sorted(path.parent.glob("fold-*/plan.toml"))[:1]
    if not plans:
        return {}
    try:
        return {"start": start_words(tomllib.loads(plans[0].read_text(encoding="utf-8")))}
    except tomllib.TOMLDecodeError:
        return {}


def start_words(plan: Mapping[str, Any]) -> str:
    """What a plan says of its beginning: "run:pretrained, features frozen until 30 %"."""
    words = ["random weights" if plan.get("weights", "random") == "random" else str(plan["weights"])]
    frozen = str(plan.get("freeze", "none"))
    if frozen != "none":
        held = "features" if frozen == "features" else f"the first {frozen} stages"
        until = f" until {100 * float(plan['unfreeze']):g} %" if plan.get("unfreeze") else ""
        words.append(f"{held} frozen{until}")
    if plan.get("layer_decay", 1.0) != 1.0:
        words.append(f"rates x {plan['layer_decay']:g} per stage")
    return ", ".join(words)
