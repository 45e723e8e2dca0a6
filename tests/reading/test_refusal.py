"""Whether an image is of the kind that a model was trained on: rules of the header, distance of the content, limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asked_toys import WAYS, image_of, predictor_of
from overread.batches.prepare import prepare_image
from overread.core.grid import Grid
from overread.core.image import Image
from overread.reading.predictor import WINDOW_BATCH
from overread.reading.refusal import guard as guarding
from overread.reading.refusal.appearance import LENGTH, appearance, part_names
from overread.reading.refusal.cloud import Cloud
from overread.reading.refusal.families import modality_family, region_words, regions, view_family
from overread.reading.refusal.guard import APPEARANCE, FILMS, Guard, Look, fit_guard, look_at
from overread.reading.refusal.header import Header, HeaderRules, header_of, plane_of
from overread.reading.refusal.limits import FEWEST, fit_limits, spreads
from overread.reading.refusal.record import LimitsUnread, Refusal

CT = {"modality": "CT", "body_part": "CHEST"}
SIZES = {"slice": 5.0, "pixel": 0.8, "fov_z": 300.0, "fov_y": 400.0, "fov_x": 400.0}


def film(seed: int) -> np.ndarray:
    """(1, 1, 32, 32): two dark fields on a bright body, as different from film to film as patients are."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :32]
    found = 1.0 + 0.05 * random.normal(size=(32, 32))
    for middle in (10 + random.normal(), 22 + random.normal()):
        wide, high = 4 + 0.4 * random.normal(), 9 + 0.7 * random.normal()
        found -= 1.5 * np.exp(-(((columns - middle) / wide) ** 2) - ((rows - 16 + random.normal()) / high) ** 2)
    return ((found - found.mean()) / found.std()).astype(np.float32)[None, None]


def patients(count: int, first: str = "P") -> list[str]:
    return [f"{first}-{k}" for k in range(count)]


def rules_of(headers: list[Header]) -> HeaderRules:
    """Each header is of a patient of its own."""
    return HeaderRules.of(headers, patients(len(headers)))


def look(array: np.ndarray, header: Header | None = None) -> Look:
    return Look(header or Header({}, {}), {APPEARANCE: appearance(array)})


@pytest.fixture(scope="module")
def guard() -> Guard:
    tuning = [look(film(seed)) for seed in range(1000, 1120)]
    return fit_guard("on", [look(film(seed)) for seed in range(120)], tuning, patients(120, "T"), patients(120))


# ---- content ----------------------------------------------------------------------------------------


def test_films_like_those_of_training_are_accepted(guard: Guard) -> None:
    verdicts = [guard.judge(look(film(seed))) for seed in range(5000, 5200)]
    assert np.mean([v.is_refused for v in verdicts]) <= 0.04  # 2 % are expected, at most
    assert np.mean([bool(v.concerns) for v in verdicts]) <= 0.10  # 5 %
    assert guard.refusal.content.is_reached
    assert guard.refusal.notes == ()


STRANGE = {
    "noise": np.random.default_rng(0).normal(size=(1, 1, 32, 32)),
    "uniform": np.zeros((1, 1, 32, 32)),
    "inverted": -film(7),
    "upside down and cut": np.roll(film(7), 11, axis=-1),
    "turned": film(7).swapaxes(-1, -2),
    "half empty": np.where(np.arange(32) < 16, film(7), film(7).min()),
}


@pytest.mark.parametrize("name", list(STRANGE))
def test_what_is_no_such_film_is_refused_with_a_reason(guard: Guard, name: str) -> None:
    verdict = guard.judge(look(STRANGE[name].astype(np.float32)))
    assert verdict.is_refused
    assert verdict.code == "far-from-training"
    assert "its content is far from the training images: distance" in verdict.reason


def test_the_reason_names_what_is_unusual(guard: Guard) -> None:
    assert "texture" in guard.judge(look(STRANGE["noise"].astype(np.float32))).reason
    flat = guard.judge(look(STRANGE["uniform"].astype(np.float32))).reason
    assert "contrast" in flat or "padding" in flat


def test_the_guard_is_the_same_from_its_record_and_tensors(guard: Guard) -> None:
    record = Refusal.from_dict(json.loads(json.dumps(guard.refusal.as_dict())))
    assert record == guard.refusal
    again = Guard.from_tensors(record, guard.tensors())
    for seed in (1, 2, 3):
        assert again.judge(look(film(seed))) == guard.judge(look(film(seed)))


def test_limits_that_cannot_be_read_are_no_damaged_weights(guard: Guard) -> None:
    record = guard.refusal.as_dict()
    content = record["content"]
    odd = [
        ({k: v for k, v in record.items() if k != "header"}, "there is no 'header'"),
        (record | {"mode": "sometimes"}, "mode is 'sometimes'; expected one of on, warn, off"),
        (record | {"content": content | {"depth": 3}}, "depth"),
        (record | {"header": []}, "list"),
    ]
    for values, said in odd:
        with pytest.raises(LimitsUnread, match=said) as error:
            Refusal.from_dict(values)
        assert "the weights are whole" in error.value.what
        assert "update Overread" in error.value.next
    with pytest.raises(LimitsUnread, match=r"there is no 'appearance\.axes' among the tensors"):
        Guard.from_tensors(guard.refusal, {k: v for k, v in guard.tensors().items() if k != "appearance.axes"})


def test_windows_of_a_volume_go_through_the_network_a_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, int] = {}
    for way in [next(w for w in WAYS if w.serves == "image"), next(w for w in WAYS if w.serves == "dense")]:
        predictor = predictor_of(way)
        prepared = prepare_image(image_of(way), predictor.preparation)

        def features(_: Any, several: Any, batch: int, serves: str = way.serves) -> np.ndarray:
            found[serves] = batch
            return np.zeros((len(several), 3), np.float32)

        monkeypatch.setattr(guarding, "features_of_several", features)
        look_at(predictor, [(Header({}, {}), prepared)])
    assert found == {"image": FILMS, "dense": WINDOW_BATCH}


def test_the_distance_is_that_of_mahalanobis_where_all_directions_are_kept() -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(400, 3)) @ np.array([[2.0, 0.3, 0], [0, 1.0, 0.8], [0, 0, 0.5]])
    cloud = Cloud.of(vectors, 1e-9)
    standard = (vectors - vectors.mean(0)) / vectors.std(0)
    values, axes = np.linalg.eigh(np.cov(standard.T))
    kept = len(cloud.axes)
    shrunk = 0.9 * np.append(values[::-1][:kept], values[::-1][kept:].mean() if kept < 3 else []) + 0.1
    full = np.concatenate([shrunk[:kept], np.repeat(shrunk[kept:], 3 - kept)])
    covariance = axes[:, ::-1] @ np.diag(full) @ axes[:, ::-1].T
    for row in standard[:20]:
        expected = np.sqrt(row @ np.linalg.inv(covariance) @ row / 3)
        assert cloud.distance(row * vectors.std(0) + vectors.mean(0)) == pytest.approx(expected, rel=1e-3)


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.sampled_from([1, 2, 5]), st.integers(2, 70), st.integers(2, 90)),
    kind=st.sampled_from(["noise", "constant", "huge"]),
)
def test_any_image_has_a_look(shape: tuple[int, int, int, int], kind: str) -> None:
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32) * {"noise": 1.0, "constant": 0.0, "huge": 1e6}[kind]
    found = appearance(array)
    assert found.shape == (shape[0] * LENGTH,)
    assert np.isfinite(found).all()
    assert len(part_names(len(found))) == len(found)


# ---- limits -----------------------------------------------------------------------------------------


def test_limits_hold_for_new_patients_and_each_counts_once() -> None:
    random = np.random.default_rng(11)
    beyond: dict[str, list[float]] = {"warn": [], "refuse": []}
    for _ in range(20):
        distances = {name: np.exp(random.normal(size=300)) for name in ("features", "appearance")}
        found = fit_limits(distances, [f"P-{k}" for k in range(300)])
        far = np.stack([(random.normal(size=3000) - part.middle) / part.spread for part in found.parts])
        for name in beyond:
            limits = np.array([getattr(part, name) for part in found.parts])
            beyond[name].append(float((far > limits[:, None]).any(axis=0).mean()))
    assert found.is_reached
    assert (found.warned, found.refused) == (0.05, 0.02)
    assert np.mean(beyond["warn"]) == pytest.approx(0.05, abs=0.015)
    assert np.mean(beyond["refuse"]) == pytest.approx(0.02, abs=0.01)
    ill = np.exp(np.r_[5 * np.ones(150), np.linspace(0, 1, 150)])
    many = fit_limits({"a": ill}, ["ill"] * 150 + [f"P-{k}" for k in range(150)])
    assert many.patients == 151
    assert many.parts[0].warn is not None
    assert many.parts[0].warn * many.parts[0].spread + many.parts[0].middle < 2  # one patient of 151, however many cases


def test_the_patients_who_gave_a_limit_stay_within_it() -> None:
    for seed in range(20):
        distances = np.exp(np.random.default_rng(seed).normal(size=300))
        (part,) = fit_limits({"a": distances}, patients(300)).parts
        far = np.array([spreads(part, float(distance)) for distance in distances])
        assert (far > part.warn).sum() == 300 - np.ceil(0.95 * 301)
        assert (far > part.refuse).sum() == 300 - np.ceil(0.98 * 301)


def test_few_tuning_patients_are_said_and_none_refuse() -> None:
    near = np.exp(np.linspace(0, 1, 12))
    found = fit_limits({"a": near}, [f"P-{k}" for k in range(12)])
    (part,) = found.parts
    assert not found.is_reached
    assert part.refuse is not None
    assert part.refuse >= 2 * (1 - part.middle) / part.spread - 1e-3
    assert found.refused == pytest.approx(1 / 13, abs=1e-3)
    none = fit_limits({"a": near[: FEWEST - 1]}, [f"P-{k}" for k in range(FEWEST - 1)])
    assert not none.are_known
    few = fit_guard(
        "on", [look(film(k)) for k in range(20)], [look(film(k)) for k in range(50, 53)], patients(20), ["A", "B", "C"]
    )
    assert not few.judge(look(STRANGE["noise"].astype(np.float32))).is_refused
    assert few.refusal.notes[0].startswith("Only 3 tuning patients")
    tiny = fit_guard("on", [look(film(k)) for k in range(3)], [look(film(50))], patients(3), ["A"])
    assert tiny.clouds == {}
    assert "judged by their headers alone" in tiny.refusal.notes[0]
    assert Guard.from_tensors(tiny.refusal, tiny.tensors()) == tiny


# ---- header -----------------------------------------------------------------------------------------

RULES = rules_of([Header(CT | {"view": "PA", "laterality": "L", "plane": "axial"}, SIZES)] * 10)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ({"modality": "MR"}, "modality", "its modality is MR; training cases had CT"),
        ({"body_part": "HEAD"}, "body-part", "its body part is HEAD; training cases had CHEST"),
        ({"body_part": "BRAINSTEM"}, "body-part", "its body part is BRAIN; training cases had CHEST"),
        ({"view": "LL"}, "view", "its view is LL; training cases had PA"),
        ({"laterality": "R"}, "laterality", "its side of the body is R"),
        ({"plane": "coronal"}, "plane", "its plane is coronal; training cases had axial"),
    ],
)
def test_a_header_that_contradicts_is_refused(words: Mapping[str, str], code: str, said: str) -> None:
    concerns = RULES.judge(Header(CT | {"view": "PA"} | words, SIZES))
    assert [c.code for c in concerns if c.is_refusal] == [code]
    assert said in concerns[0].words


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        ({}, []),
        ({"body_part": "THORAX"}, []),  # the same region under another name
        ({"body_part": "WHOLEBODY"}, ["body-part"]),  # overlaps
        ({"body_part": "XYZ"}, ["body-part"]),  # nobody knows what that is
        ({"view": "AP"}, ["view"]),  # frontal, too
        ({"modality": "OT"}, ["modality"]),
        ({"laterality": "B"}, []),
    ],
)
def test_a_header_that_is_only_unknown_is_warned_of(words: Mapping[str, str], codes: list[str]) -> None:
    concerns = RULES.judge(Header(CT | {"view": "PA"} | words, SIZES))
    assert [c.code for c in concerns] == codes
    assert not any(c.is_refusal for c in concerns)


def test_computed_radiography_is_a_radiograph_and_silence_is_said() -> None:
    rules = rules_of([Header({"modality": "CR", "body_part": "CHEST"}, {})] * 5)
    (concern,) = rules.judge(Header({"modality": "DX", "body_part": "CHEST"}, {}))
    assert (concern.code, concern.is_refusal) == ("modality", False)
    (concern,) = rules.judge(Header({}, {}))
    assert concern.code == "header-unknown"
    assert concern.words.startswith("its header does not say the modality or the body part")
    assert rules_of([Header({}, {})] * 5).judge(Header(CT, {})) == []  # no header in training: content alone


@pytest.mark.parametrize(
    ("size", "factor", "codes", "is_refusal"),
    [
        ("slice", 1.2, [], False),
        ("slice", 2.0, ["spacing"], False),
        ("slice", 3.0, ["spacing"], True),
        ("slice", 0.1, ["spacing"], False),  # thin slices are sampled to the model's grid
        ("fov_z", 0.3, ["field-of-view"], True),
        ("fov_x", 4.0, ["field-of-view"], True),
    ],
)
def test_sizes_far_out_of_the_range_of_training(size: str, factor: float, codes: list[str], is_refusal: bool) -> None:
    concerns = RULES.judge(Header(CT | {"view": "PA"}, {**SIZES, size: SIZES[size] * factor}))
    assert [c.code for c in concerns] == codes
    assert any(c.is_refusal for c in concerns) == is_refusal


def test_missing_slices_that_were_filled_in() -> None:
    header = Header(CT | {"view": "PA"}, SIZES)
    (few,) = RULES.judge(replace(header, interpolated=0.04))
    (many,) = RULES.judge(replace(header, interpolated=0.3))
    assert (few.code, few.is_refusal) == ("missing-slices", False)
    assert (many.code, many.is_refusal) == ("missing-slices", True)
    assert "30% of its slices were missing and are interpolated" in many.words


def test_nothing_that_may_name_a_person_is_kept() -> None:
    odd = Header({"modality": "CT", "body_part": "MUELLER"}, {})
    kept = HeaderRules.of([*[Header(CT, {})] * 9, odd, odd], [*patients(9), "ill", "ill"])  # two cases of one patient
    assert "MUELLER" not in json.dumps(kept.as_dict())
    assert kept.said["body_part"] == 1.0
    told = HeaderRules.of([Header({"body_part": "MRCHESTER"}, {})], ["P"])  # what the tables know of it
    assert told.values == {"body_part": ("CHEST",)}
    (concern,) = told.judge(Header({"body_part": "HANDLEY"}, {}))
    assert concern.is_refusal
    assert concern.words == "its body part is HAND; training cases had CHEST"
    assert HeaderRules.of([odd] * 2, ["P", "Q"]).values["body_part"] == ("MUELLER",)  # shared by patients: a word of the device
    source: dict[str, Any] = {"modality": "CT", "body_part": "Chest ", "vendor": "Somebody", "patient_age": 40}
    image = Image(np.zeros((1, 4, 8, 8), np.int16), Grid.from_spacing((4, 8, 8), (5, 1, 1)), "HU", source=source)
    assert header_of(image).words == {"modality": "CT", "body_part": "CHEST", "plane": "axial"}
    assert header_of(image).sizes["fov_z"] == 20


def test_families_and_planes() -> None:
    assert modality_family("CR") == modality_family("DX") == "radiograph"
    assert modality_family("OT") == ""
    assert regions("CHESTABDPELVIS") == {"chest", "abdomen", "pelvis"}
    assert regions("WRIST") == {"hand"}
    for value in ("CHESTABDPELVIS", "WRIST", "CTA", "WHOLEBODY", "CSPINEROUTINE", "XYZ"):
        assert regions(value) == frozenset().union(*map(regions, region_words(value)))
    assert view_family("LL") == "lateral"
    assert plane_of(Grid.from_spacing((4, 8, 8), (1, 5, 1))) == "coronal"
    assert plane_of(Grid.from_spacing((4, 8, 8), (1, 1, 1.2))) == ""
    assert plane_of(Grid.from_spacing((1, 8, 8), is_planar=True)) == ""
