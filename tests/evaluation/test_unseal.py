"""The seal: nothing is read before it is said and written down what for."""

import json

import pytest

from overread.cohort.seal import truths_path, write_truths
from overread.core.case import TruthReference
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation import unseal
from overread.evaluation.unseal import make_declaration, open_seal
from overread.record.ledger import Ledger

ORGANS = Question("segmentation", ("liver",), (1,))
NOTHING = {"hypothesis": "", "primary_endpoint": "", "margin": None, "threshold_rule": "youden", "declared": ()}
SAID = {"hypothesis": "Dice of the liver is at least 0.9", "primary_endpoint": "dice/liver", "margin": 0.9}


@pytest.fixture
def sealed(tmp_path):
    for name in ("internal", "fold-1"):
        write_truths(truths_path(tmp_path, name), {f"case of {name}": TruthReference({}, ("a.nii.gz",), "nifti")})
    return tmp_path


def ledger(folder):
    return Ledger(folder / "cohort" / "ledger.jsonl").entries()


def test_what_is_not_declared_is_asked_for_with_the_exact_words() -> None:
    with pytest.raises(OverreadError) as error:
        make_declaration(ORGANS, NOTHING)
    assert "hypothesis and primary endpoint not declared" in str(error.value)
    assert "--primary-endpoint dice/liver" in str(error.value)
    assert 'primary_endpoint = "dice/liver"' in str(error.value)
    with pytest.raises(OverreadError, match="primary endpoint not declared"):
        make_declaration(ORGANS, NOTHING, {"hypothesis": "h"})


def test_what_is_said_now_wins_over_the_settings_and_is_checked() -> None:
    declared = make_declaration(ORGANS, {**NOTHING, "hypothesis": "old", "declared": ("iou",)}, SAID)
    assert declared.hypothesis == SAID["hypothesis"]
    assert (declared.margin, declared.declared, declared.by_default) == (0.9, ("iou",), False)
    assert make_declaration(ORGANS, NOTHING, {**SAID, "margin": 0.0}).margin == 0.0
    with pytest.raises(OverreadError, match="names no metric"):
        make_declaration(ORGANS, NOTHING, {**SAID, "declared": ("beauty",)})
    with pytest.raises(OverreadError, match="threshold rule"):
        make_declaration(ORGANS, NOTHING, {**SAID, "threshold_rule": "best"})


def test_a_rule_is_declared_only_where_something_is_called() -> None:
    said = {"hypothesis": "h", "primary_endpoint": "auc"}
    two = Question("classification", ("well", "ill"), positive="ill")
    assert make_declaration(two, NOTHING, said).threshold_rule == "youden"
    assert make_declaration(Question("classification", ("a", "b", "c")), NOTHING, said).threshold_rule == "highest probability"
    assert make_declaration(ORGANS, NOTHING, SAID).threshold_rule == ""


def test_a_margin_needs_a_score_with_a_better_end() -> None:
    age = Question("regression", ("age",), units=("years",))
    with pytest.raises(OverreadError, match="No margin can be cleared by 'limit_high/age'"):
        make_declaration(age, NOTHING, {"hypothesis": "h", "primary_endpoint": "limit_high/age", "margin": 9.0})


def test_a_phantom_declares_itself_and_says_so() -> None:
    declared = make_declaration(ORGANS, NOTHING, is_phantom=True)
    assert declared.by_default
    assert declared.primary_endpoint == "dice"
    assert "Nothing is claimed about patients" in declared.hypothesis


def test_the_entry_stands_before_the_truths_are_read(sealed, monkeypatch) -> None:
    declaration = make_declaration(ORGANS, NOTHING, SAID)

    def fail(folder, partition):
        (entry,) = ledger(folder)
        assert (entry["entry"], entry["model"], entry["margin"]) == ("opening", "sha256:m", 0.9)
        raise RuntimeError("the disk broke")

    monkeypatch.setattr(unseal, "sealed_truths", fail)
    with pytest.raises(RuntimeError, match="the disk broke"):
        open_seal(sealed, declaration, model="sha256:m", run="first")
    monkeypatch.undo()
    truths, entry = open_seal(sealed, declaration, model="sha256:m", run="first")
    assert entry["number"] == 2
    assert list(truths) == ["case of internal"]


def test_each_seal_counts_its_own_openings_and_the_chain_holds(sealed) -> None:
    declaration = make_declaration(ORGANS, NOTHING, SAID)
    numbers = [open_seal(sealed, declaration, partition=p, model="m", run="r")[1]["number"] for p in ("internal", 1, 1)]
    assert numbers == [1, 1, 2]
    path = sealed / "cohort" / "ledger.jsonl"
    lines = path.read_text().splitlines()
    lines[1] = json.dumps({**json.loads(lines[1]), "hypothesis": "what came out"})
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(OverreadError, match="line 2 was changed"):
        open_seal(sealed, declaration, model="m", run="r")
