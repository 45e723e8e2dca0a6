"""Survival from two sheets: what comes out, what it says in words, and what is refused."""

import json
import re

import numpy as np
import pytest

from overread.core.errors import OverreadError
from overread.evaluation.survival import concordance
from overread.workflow.scoring.survival import evaluate_survival, survival_lines


def sheets(folder, n: int = 60):
    random = np.random.default_rng(0)
    risk = random.normal(size=n)
    time = np.round(random.exponential(300 * np.exp(-risk))) + 1
    event = random.random(n) < 0.7
    truth, answers = folder / "truth.csv", folder / "answers.csv"
    rows = [f"A{k},P{k},{t:g},{int(e)}" for k, (t, e) in enumerate(zip(time, event, strict=True))]
    truth.write_text("id,patient,Time,Event\n" + "\n".join(rows))
    answers.write_text("id,risk\n" + "\n".join(f"A{k},{r:.6f}" for k, r in reversed(list(enumerate(risk)))))
    return truth, answers, risk, time, event


def test_two_sheets(tmp_path) -> None:
    truth, answers, risk, time, event = sheets(tmp_path)
    result = evaluate_survival(truth, answers, resamples=300, out=tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == result
    assert result["concordance"]["interval"]["estimate"] == pytest.approx(concordance(np.round(risk, 6), time, event))
    assert [group["n_patients"] for group in result["groups"]] == [20, 20, 20]
    assert [group["at_risk"][0] for group in result["groups"]] == [20, 20, 20]
    assert len(result["at_risk_times"]) <= 6
    assert result["log_rank_p"] < 0.001
    assert "A1" not in (tmp_path / "out.json").read_text()
    text = "\n".join(survival_lines(result))
    assert "Concordance index: 0." in text
    assert "20 patients" in text
    assert re.search(r"half had the event by \d+ \(95 % \d+ to \d+\)", text)
    assert "log-rank" in text


def test_groups_are_cut_where_it_was_said(tmp_path) -> None:
    truth, answers, risk, *_ = sheets(tmp_path)
    result = evaluate_survival(truth, answers, edges=[0.0], resamples=200)
    assert [group["group"] for group in result["groups"]] == ["risk up to 0", "risk above 0"]
    assert result["groups"][1]["n_patients"] == (risk > 0).sum()
    assert result["notes"] == []  # the column 'patient' is found by its name
    truth.write_text(truth.read_text().replace("patient", "ward"))
    assert "No patients were named" in evaluate_survival(truth, answers, resamples=200)["notes"][0]
    with pytest.raises(OverreadError, match="is no number"):
        evaluate_survival(truth, answers, edges=[np.nan])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Event", "Outcome"), "no column 'event'"),
        ((",1\n", ",maybe\n"), "1 or 0, yes or no"),
        (("A1,", "A0,"), "the id A0 occurs twice"),
        (("P1,", "P0,"), "60 rows of 59 patients"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, change, message) -> None:
    truth, answers, *_ = sheets(tmp_path)
    truth.write_text(truth.read_text().replace(*change, 1))
    with pytest.raises(OverreadError, match=message):
        evaluate_survival(truth, answers, patients="patient", resamples=200)
