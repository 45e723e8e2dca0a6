"""An external cohort that holds patients or images of the project is told, and what two tests share less gravely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import pytest

from audit.drawn import cohort, open_drawn
from overread.audit.audited import Audited, AuditedCase
from overread.audit.concern import Concern, counted_as, several
from overread.audit.leaks.elsewhere import Elsewhere
from overread.audit.leaks.look import look_for_leaks
from overread.audit.sketch import sketches


def away(shown: Mapping[str, tuple[int, bool]], name: str = "external:north", **more: object) -> Elsewhere:
    """Six cases of their own pictures; `shown` has others."""
    pictures = {f"{name}/C-{k}": (1000 + k, False) for k in range(6)} | {f"{name}/{case}": p for case, p in shown.items()}
    cases = tuple(AuditedCase(case, case, is_sealed=True) for case in pictures)
    return replace(Elsewhere(name, Audited(cases, partial(open_drawn, pictures)), ()), **more)


def found(audited: Audited, *others: Elsewhere) -> dict[str, Concern]:
    drawn = sketches(audited)
    for other in others:
        drawn |= sketches(other.audited)
    return {concern.key: concern for concern in look_for_leaks(audited, drawn, elsewhere=others)}


def test_cohorts_that_share_nothing_raise_no_concern() -> None:
    assert found(cohort(), away({})) == {}


def test_copies_of_learned_images_are_faults_identical_or_mirrored() -> None:
    concerns = found(cohort(), away({"C-0": (0, False), "C-1": (5, True)}))
    assert set(concerns) == {"identical-image-in-external-cohort", "nearly-identical-image-in-external-cohort"}
    same = concerns["identical-image-in-external-cohort"]
    assert same.severity == "fault"
    assert same.statement == "1 identical image is in the project and in external:north too (1 of its 6 cases)."
    assert same.cases == [("c0", "external:north/C-0")]
    assert same.partitions == ("training", "external:north")
    near = concerns["nearly-identical-image-in-external-cohort"]
    assert near.severity == "fault"
    assert near.evidence["changes"] == {"mirrored left to right": 1}
    assert "external:north/C-1" in near.cases[0]


def test_copies_of_the_internal_test_alone_are_a_warning() -> None:
    concern = found(cohort(), away({"C-0": (3, False)}))["identical-image-in-external-cohort"]
    assert concern.severity == "warning"
    assert "does not confirm the first" in concern.meaning


def test_two_external_cohorts_are_told_one_by_one_and_not_apart_from_each_other() -> None:
    one, other = away({"C-0": (0, False)}), away({"C-0": (0, False), "C-1": (1001, False)}, "external:south")
    drawn = cohort()
    all_of_them = {**sketches(drawn), **sketches(one.audited), **sketches(other.audited)}
    told = [c for c in look_for_leaks(drawn, all_of_them, elsewhere=(one, other)) if "external-cohort" in c.key]
    assert [c.cases for c in told] == [[("c0", "external:north/C-0")], [("c0", "external:south/C-0")]]


@pytest.mark.parametrize(("accepted", "severity"), [(False, "fault"), (True, "warning")])
def test_patients_of_both_are_told_unless_that_was_accepted(accepted: bool, severity: str) -> None:
    other = away({}, people=(("c0", "external:north/C-0", "external:north/C-1"),), accepted=accepted)
    concern = found(cohort(), other)["patient-in-external-cohort"]
    assert concern.severity == severity
    assert ("with a reason in the ledger" in concern.statement) == accepted
    assert concern.statement.startswith("1 patient is in the project and in external:north too (2 of its 6 cases).")


def test_patients_that_cannot_be_compared_and_images_that_do_not_open_are_said() -> None:
    other = away({}, people=None)
    audited = cohort()
    seen = {**sketches(audited), **{n: s for n, s in sketches(other.audited).items() if not n.endswith("C-2")}}
    concerns = {c.key: c for c in look_for_leaks(audited, seen, elsewhere=(other,))}
    assert set(concerns) == {"patients-of-external-cohort-not-compared", "external-cohort-not-looked-at"}
    assert {c.severity for c in concerns.values()} == {"note"}
    assert "1 of 6 images of external:north" in concerns["external-cohort-not-looked-at"].statement


def test_words_for_many_things() -> None:
    assert several(["a", "b"], 2) == "a, b"
    assert several(list("abcd"), 2, "; ") == "a; b; and 2 more"
    assert (counted_as(1, "case"), counted_as(2, "case")) == ("1 case", "2 cases")
    assert counted_as(2, "class is", "classes are") == "2 classes are"
