"""Rules for images: patterns, phases, names of files, and the choice among series."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from overread.cohort.draft import Draft
from overread.cohort.file_channels import case_name, group_files, propose_channels, told_by_name
from overread.cohort.patterns import fits, literal
from overread.cohort.phase import phase_of
from overread.cohort.rules import ImageRules, image_rules
from overread.cohort.series import choose_series, pick
from overread.core.case import ImageReference
from overread.core.errors import OverreadError, Refused
from overread.imaging.found import Found


@pytest.mark.parametrize(
    ("value", "pattern", "expected"),
    [
        ("Thin  Lung", "thin lung", True),
        ("AX T2 FLAIR 3mm", "*flair*", True),
        ("B31f", "B30*|B31*", True),
        ("B70f", "!B30*|B31*", True),
        ("t1 [C+]", "t1 [c+]", True),  # brackets stand for themselves
        ("1.25", "<= 1.5", True),
        ("1.25", ">= 1, <= 1.2", False),
        ("", "<= 2", False),
        ("thin", "<= 2", False),
        ("5", "5.0", True),
        ("5", "= 5", True),
        ("", "*", True),
        ("", "!*lung*", True),
        ("-80", ">= -100", True),
    ],
)
def test_patterns(value: str, pattern: str, expected: bool) -> None:
    assert fits(value, pattern) is expected


@given(st.text(max_size=20))
@example("\r<")
def test_a_proposed_pattern_fits_the_value_it_was_made_from(value: str) -> None:
    assert fits(value, literal(value))


@pytest.mark.parametrize(
    ("description", "phase"),
    [
        ("THX_ABD_ART_1.0", "arterial"),
        ("late arterial 3mm", "late arterial"),
        ("Abdomen portal venous 5.0 B30f", "venous"),
        ("PV phase", "venous"),
        ("Leber nativ", "native"),
        ("delayed 5 min", "delayed"),
        ("spät venös", "venous"),
        ("cart wheel", ""),
        ("inventory", ""),
    ],
)
def test_the_phase_is_read_from_words(description: str, phase: str) -> None:
    assert phase_of({"description": description}) == phase
    assert phase_of({"description": description, "phase": "arterial"}) == "arterial"


@pytest.mark.parametrize(
    ("series", "channels", "message"),
    [
        ({"kernal": "b"}, {}, "images.series: there is no field 'kernal'"),
        ({"description": "<= 2"}, {}, "images.series.description is text, and '<= 2' asks for a number"),
        ({"thickness": "<= thin"}, {}, "The pattern '<= thin' is no comparison"),
        ({"thickness": " "}, {}, "images.series.thickness is empty"),
        ({"file": "_a"}, {}, "images.series chooses among DICOM series"),
        ({}, {"flair": {}}, "images.channels.flair has no rule"),
    ],
)
def test_faulty_rules_are_named(series: dict[str, str], channels: dict[str, Any], message: str) -> None:
    with pytest.raises(OverreadError, match=message.replace("[", r"\[")):
        image_rules(series, channels)


def test_rules_keep_their_order_through_the_model_file() -> None:
    rules = image_rules({"thickness": "<= 2", "ven.phase": "venous"}, {"t2": "_t2", "a": {"volume": "1"}}, "zeros", "resample")
    assert ImageRules.from_dict(rules.as_dict()) == rules
    assert list(ImageRules.from_dict(rules.as_dict()).channels) == ["t2", "a", "ven"]


# ---- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "pattern", "case"),
    [
        ("a/p1_FLAIR.nii.gz", "_flair", "a/p1"),
        ("p1-flair.nii", "flair", "p1"),
        ("p1/FLAIR_x_y.nii.gz", "flair_", "p1"),
        ("p1/flair.nii.gz", "flair", "p1"),
        ("p1/flair.nii.gz", "_flair", "p1"),
        ("p1_t1ce.nii.gz", "t1", None),
        ("p1_t1.nii.gz", "_t1ce", None),
        ("xflair.nii.gz", "_flair", None),
        ("p/FLAIR_p1_3T.nii.gz", "FLAIR_*_3T", "p/p1"),
        ("train/flair/p1.nii.gz", "flair/*", "train/p1"),
        ("liver_001_0001.nii.gz", "_0001", "liver_001"),
        ("flair_p1.nii.gz", "flair_", None),  # no folder could be the case
        ("a/b.nii.gz", "*", "a/b"),
    ],
)
def test_what_is_left_of_a_name_is_the_case(path: str, pattern: str, case: str | None) -> None:
    assert case_name(path, pattern) == case


def file(path: str, components: int = 1) -> Found:
    return Found("nifti", (path,), path, attributes={"components": components} if components > 1 else {})


def test_the_order_of_files_does_not_matter() -> None:
    rules = image_rules({}, {"flair": "_flair", "t1": "_t1"}).channels
    files = [file("p1_t1.nii"), file("p1_flair.nii"), file("p2_flair.nii"), file("notes.nii")]
    grouped, swapped = group_files(files, rules), group_files(files[::-1], rules)
    assert grouped.cases == swapped.cases
    assert grouped.cases["p1"]["flair"] == ImageReference("flair", "nifti", ("p1_flair.nii",))
    assert grouped.strangers == ("notes.nii",)


def test_volumes_of_one_file_are_channels() -> None:
    rules = image_rules({}, {"t2": {"volume": "3"}, "flair": {"volume": "0"}}).channels
    grouped = group_files([file("b.nii.gz", 4)], rules)
    assert grouped.cases["b"] == {
        "t2": ImageReference("t2", "nifti", ("b.nii.gz",), 3),
        "flair": ImageReference("flair", "nifti", ("b.nii.gz",), 0),
    }
    assert group_files([file("b.nii.gz")], rules).cases == {}


def test_what_files_leave_open_is_refused_by_name() -> None:
    with pytest.raises(Refused, match=r"Two files of the case p1 fit the channel 'flair': p1_flair.nii and p1-flair.nii"):
        group_files([file("p1_flair.nii"), file("p1-flair.nii")], image_rules({}, {"flair": "flair"}).channels)
    with pytest.raises(Refused, match=r"The file p1_a.nii fits the rules of 2 channels: a, b"):
        group_files([file("p1_a.nii")], image_rules({}, {"a": "_a", "b": "*_a"}).channels)
    with pytest.raises(OverreadError, match=r"images.channels.a asks for kernel, which only DICOM series have"):
        group_files([file("p1_a.nii")], image_rules({}, {"a": {"kernel": "b*"}}).channels)
    with pytest.raises(Refused, match=r"3 of the 4 volumes of b.nii fit volume = '>= 1'"):
        group_files([file("b.nii", 4)], image_rules({}, {"a": {"volume": ">= 1"}}).channels)


def test_usual_names_propose_their_rules() -> None:
    files = [f"p{k}/p{k}_{c}.nii.gz" for k in range(3) for c in ("T1", "flair")]
    assert propose_channels(files) == {"flair": {"file": "_flair"}, "t1": {"file": "_t1"}}
    files = [f"p{k}/{c}_registered.nii.gz" for k in range(3) for c in ("T1", "flair")]
    assert propose_channels(files) == {"flair": {"file": "flair_"}, "t1": {"file": "t1_"}}
    assert propose_channels([f"c{k}_0000.nii.gz" for k in range(3)]) == {"image": {"file": "_0000"}}
    assert propose_channels(["a.nii.gz", "b.nii.gz"]) == {}


def test_new_files_are_told_by_the_channels_names_or_numbers() -> None:
    channels = image_rules({"art.phase": "arterial", "ven.phase": "venous"}, {}).channels
    for names in (["x_art.nii", "x_ven.nii"], ["x_0000.nii", "x_0001.nii"]):
        grouped = told_by_name([file(n) for n in reversed(names)], channels)
        assert grouped is not None
        assert [grouped.cases["x"][c].files[0] for c in ("art", "ven")] == names
    assert told_by_name([file("scan.nii")], channels) is None


# ---- series -----------------------------------------------------------------------------------------


def series(name: str, exam: str = "e1", **attributes: Any) -> Draft:
    known = {"description": name, "n_slices": 30, "plane": "axial", "frame_of_reference": "1.2"}
    reference = ImageReference("image", "dicom", (f"{exam}/{name}.dcm",))
    return Draft(f"{exam}/{name}", (f"{exam}/{name}",), (reference,), exam=exam, attributes=known | attributes)


EXAM = [
    series("thick", thickness_mm=5.0, kernel="B30f", series_number=2),
    series("thin", thickness_mm=1.0, kernel="B30f", series_number=3),
    series("lung", thickness_mm=1.0, kernel="B70f", series_number=4),
]


def test_all_lines_must_fit_and_the_rest_says_why() -> None:
    picked = pick(EXAM, image_rules({"thickness": "<= 2", "kernel": "B30*"}, {}))
    assert picked.draft is not None
    assert picked.draft.name == "e1/thin"
    assert {p.name: p.reason for p in picked.passed} == {
        "e1/thick": "series not chosen: thickness is not '<= 2'",
        "e1/lung": "series not chosen: kernel is not 'B30*'",
    }


def test_the_lowest_or_highest_of_those_that_fit() -> None:
    picked = pick(EXAM, image_rules({"thickness": "lowest", "number": "highest"}, {}))
    assert picked.draft is not None
    assert picked.draft.name == "e1/lung"
    assert picked.passed[0].reason == "series not chosen: not the lowest thickness, highest number"
    assert pick(EXAM[::-1], image_rules({"thickness": "lowest", "number": "highest"}, {})).draft == picked.draft


def test_several_that_fit_stop_for_all_exams_at_once() -> None:
    drafts = [*EXAM, series("thin", "e2", thickness_mm=1.0)]
    with pytest.raises(Refused, match=r"1 of 2 exams; the first: 2 series of one exam fit \[images.series\]") as caught:
        choose_series(drafts, image_rules({"thickness": "<= 2"}, {}))
    assert caught.value.next.endswith("--series description='thin'")


def test_the_flow_counts_what_was_chosen_and_what_was_not() -> None:
    drafts = [*EXAM, series("thick", "e2", thickness_mm=5.0)]
    chosen = choose_series(drafts, image_rules({"thickness": "<= 2", "kernel": "B30*"}, {}))
    assert chosen.step is not None
    assert chosen.step.as_dict() == {
        "step": "one case per exam, by the rules for its series",
        "kept": 1,
        "excluded": 3,
        "reasons": {
            "no series of the exam fits [images.series] (thickness = '<= 2', kernel = 'B30*')": 1,
            "series not chosen: thickness is not '<= 2'": 1,
            "series not chosen: kernel is not 'B30*'": 1,
        },
    }
    assert chosen.told[0] == "series chosen: 1 exams, because thickness = '<= 2', kernel = 'B30*'"


PHASES = [series("art 1mm", thickness_mm=1.0), series("ven 1mm", thickness_mm=1.0), series("ven 5mm", thickness_mm=5.0)]


def test_lines_of_series_hold_for_every_channel() -> None:
    rules = image_rules({"thickness": "<= 2"}, {"ven": {"phase": "venous"}, "art": {"phase": "arterial"}})
    picked = pick(PHASES, rules)
    assert picked.draft is not None
    assert [(i.channel, i.files[0]) for i in picked.draft.images] == [("ven", "e1/ven 1mm.dcm"), ("art", "e1/art 1mm.dcm")]
    assert picked.draft.name == "e1/ven 1mm"


@pytest.mark.parametrize(("missing", "kept"), [("refuse", False), ("zeros", True)])
def test_a_missing_channel(missing: str, kept: bool) -> None:
    rules = image_rules({}, {"ven": {"description": "ven 1mm"}, "art": {"phase": "arterial"}}, missing)
    picked = pick(PHASES[1:], rules)
    assert (picked.draft is not None) is kept
    if picked.draft is not None:
        assert picked.draft.images[1] == ImageReference("art", "missing", ())
        assert picked.draft.covariates == {"missing channels": "art"}
    else:
        assert picked.refusal is not None
        assert picked.refusal.what == "channel missing (no series fits art: phase = 'arterial')"
    assert pick(PHASES[:1], rules).draft is None  # the reference is never filled


def test_frames_of_reference_that_differ_are_refused() -> None:
    rules = image_rules({}, {"a": {"description": "a"}, "b": {"description": "b"}})
    members = [series("a"), series("b", frame_of_reference="9.9")]
    refusal = pick(members, rules).refusal
    assert refusal is not None
    assert refusal.code == "other-frame-of-reference"
    films = [series("a", plane=None), series("b", plane=None, frame_of_reference="9.9")]
    assert pick(films, rules).draft is not None  # views have no place in the patient at all


def test_one_series_is_not_two_channels() -> None:
    rules = image_rules({}, {"a": {"description": "ven 1*"}, "b": {"phase": "venous", "thickness": "<= 2"}})
    with pytest.raises(Refused, match="fits two channels, 'a' and 'b'"):
        choose_series(PHASES, rules)


def test_without_a_rule_several_series_show_a_rule_that_would_do() -> None:
    drafts = [series(n, f"e{k}", thickness_mm=t) for k in range(5) for n, t in (("*tse [a]", 5.0), ("thin", 1.0))]
    with pytest.raises(OverreadError, match="5 of 5 exams have more than one series") as caught:
        choose_series(drafts, ImageRules())
    assert "one series in 5 of 5 exams" in caught.value.next
    assert choose_series([d for d in drafts if d.name.endswith("thin")], ImageRules()).step is None


def test_a_channel_that_no_exam_has_is_a_wrong_rule_even_with_zeros() -> None:
    rules = image_rules({}, {"ven": {"description": "ven 1mm"}, "x": {"phase": "delayed"}}, "zeros")
    with pytest.raises(OverreadError, match=r"No series of any exam fits the channel 'x' \(phase = 'delayed'\)"):
        choose_series(PHASES, rules)


def test_rules_for_files_and_rules_for_series_are_not_mistaken_for_each_other() -> None:
    with pytest.raises(OverreadError, match=r"images.series \(thickness = '<= 2'\) chooses among DICOM series"):
        choose_series(
            [replace(d, images=(ImageReference("image", "nifti", ("a.nii",)),)) for d in EXAM],
            image_rules({"thickness": "<= 2"}, {}),
        )
    with pytest.raises(OverreadError, match=r"images.channels.a is a rule for names of files, and these are DICOM series"):
        choose_series(EXAM, image_rules({}, {"a": "_a", "b": "_b"}))
