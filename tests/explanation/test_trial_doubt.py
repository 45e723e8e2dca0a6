"""A trial that cannot tell a map of the network from a map of the image credits no method, and says why numbers are missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from asked_toys import WAYS, asked_of
from overread.explanation.controls import Constant, Edges
from overread.explanation.trial.alike import measured
from overread.explanation.trial.conduct import discounted
from overread.explanation.trial.maps import Maps
from overread.explanation.trial.posed import Posed
from overread.explanation.trial.similarity import Likeness


def criterion(key: str, verdict: str) -> dict[str, Any]:
    title = key.replace("_", " ").capitalize()
    return {"criterion": key, "title": title, "verdict": verdict, "why": "", "is_essential": True}


def row(method: str, **verdicts: str) -> dict[str, Any]:
    titles = {"edges": "Edge detector", "constant": "Constant map", "saliency": "Saliency", "occlusion": "Occlusion"}
    criteria = [criterion(key, verdict) for key, verdict in verdicts.items()]
    return {"method": method, "title": titles[method], "criteria": criteria, "verdict": "passed", "why": "Passed."}


def test_what_a_control_passes_credits_no_method() -> None:
    passed = row("saliency", weight_randomisation="passed", localisation="passed")
    failed = row("occlusion", weight_randomisation="failed", localisation="passed") | {"verdict": "failed"}
    works = [row("edges", weight_randomisation="failed", localisation="passed"), row("constant", localisation="not tried")]
    assert discounted([passed, failed], works) == [passed, failed]
    fails = [row("edges", weight_randomisation="passed"), row("constant", weight_randomisation="passed", localisation="failed")]
    one, other = discounted([passed, failed], fails)
    assert one["verdict"] == "incomplete"
    assert "not tried: weight randomisation" in one["why"]
    assert [each["verdict"] for each in one["criteria"]] == ["not tried", "passed"]
    assert "the edge detector and the constant map passed it too" in one["criteria"][0]["why"]
    assert other["verdict"] == "failed"
    assert [each["verdict"] for each in other["criteria"]] == ["failed", "passed"]
    assert passed["criteria"][0]["verdict"] == "passed"


def test_why_there_is_no_likeness_is_said_rightly() -> None:
    posed = [Posed(f"C-{k}", "P-1", ((asked_of(WAYS[0], k), 1.0),)) for k in range(2)]
    likeness = [Likeness(0.5, 0.5), None]
    assert measured(Maps(Edges(), posed), likeness, {}, "nothing is listed").why == "all cases are of one patient"
    of_two = [posed[0], replace(posed[1], patient_id="P-2")]
    assert measured(Maps(Constant(), of_two), likeness, {}, "nothing is listed").why == "nothing is listed"
