"""What stands before a model and looks at every image first: fitted at freezing, kept in the model file, applied by reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from overread.batches.prepare import Prepared
from overread.core.image import Image
from overread.reading.answering import Answering
from overread.reading.ensemble import Ensemble
from overread.reading.features import features_of_several
from overread.reading.predictor import WINDOW_BATCH, Predictor
from overread.reading.refusal.appearance import appearance, part_names
from overread.reading.refusal.cloud import Cloud
from overread.reading.refusal.concern import Concern, Verdict
from overread.reading.refusal.header import Header, HeaderRules, header_of
from overread.reading.refusal.limits import fit_limits, spreads
from overread.reading.refusal.record import Limits, LimitsUnread, Refusal

FEATURES, APPEARANCE = "features", "appearance"
FLOORS = {FEATURES: 0.1, APPEARANCE: 0.02}  # smallest believed spread: of features as a share of their usual one
FEWEST = 8  # training cases; a cloud of fewer is none
NAMED = 2  # unusual properties that a reason names
FILMS = 64  # images that go through a network at once, where there is one answer per case


@dataclass(frozen=True)
class Look:
    """What the guard sees of one image: its header, and vectors by the name of the part: "features" (F,), "appearance" (D,)."""

    header: Header
    vectors: Mapping[str, np.ndarray]


def look_at(answering: Answering, images: Sequence[tuple[Header, Prepared]]) -> list[Look]:
    """One look per image; of an ensemble the first member's features, whose view `prepare` gives."""
    predictor = _first(answering)
    batch = FILMS if answering.task.serves == "image" else WINDOW_BATCH  # windows of a volume are large
    looks = [{APPEARANCE: appearance(prepared.array)} for _, prepared in images]
    if predictor is not None and images:
        features = features_of_several(predictor, [prepared for _, prepared in images], batch)
        looks = [{FEATURES: row, **vectors} for row, vectors in zip(features, looks, strict=True)]
    return [Look(header, vectors) for (header, _), vectors in zip(images, looks, strict=True)]


def _first(answering: Answering) -> Predictor | None:
    """The network whose features count; None where it has none."""
    predictor = answering.members[0] if isinstance(answering, Ensemble) else answering
    return predictor if isinstance(predictor, Predictor) and hasattr(predictor.network, "features") else None


@dataclass(frozen=True)
class Guard:
    """Rules and limits, and the clouds of training vectors by the name of the part."""

    refusal: Refusal
    clouds: Mapping[str, Cloud]

    def judge(self, look: Look) -> Verdict:
        concerns = self.refusal.header.judge(look.header)
        if not self.refusal.content.are_known:
            return Verdict(tuple(concerns))
        far = {p.name: spreads(p, self.clouds[p.name].distance(look.vectors[p.name])) for p in self.refusal.content.parts}
        shares = {p.name: far[p.name] / p.refuse for p in self.refusal.content.parts if p.refuse is not None}
        by = max(shares, key=lambda name: shares[name])
        is_warned = any(p.warn is not None and far[p.name] > p.warn for p in self.refusal.content.parts)
        if is_warned or shares[by] > 1:
            concerns.append(self._of_content(look, shares[by], by))
        return Verdict(tuple(sorted(concerns, key=lambda concern: not concern.is_refusal)), round(shares[by], 3))

    def see(self, answering: Answering, image: Image, prepared: Prepared) -> Verdict:
        """The verdict over one image."""
        return self.judge(look_at(answering, [(header_of(image), prepared)])[0])

    def _of_content(self, look: Look, share: float, by: str) -> Concern:
        limits = self.refusal.content
        is_refusal = share > 1
        rare = f"at most about {100 * (limits.refused if is_refusal else limits.warned):.2g} %"
        words = (
            f"its content is far from the training images: distance {share:.2f}, where 1 is the limit of refusal; {rare} of "
            f"patients like those of training lie so far; {self._unusual(look, by)}"
        )
        return Concern("far-from-training", words, is_refusal)

    def _unusual(self, look: Look, by: str) -> str:
        """What is most unusual, for a person to check."""
        shares = self.clouds[APPEARANCE].shares(look.vectors[APPEARANCE])
        carried: dict[str, float] = {}
        for name, share in zip(part_names(len(shares)), shares, strict=True):
            carried[name] = carried.get(name, 0.0) + float(share)
        most = sorted(carried, key=lambda name: -carried[name])[:NAMED]
        seen = "unusual in what the network sees, and in looks by" if by == FEATURES else "unusual in looks, most by"
        return f"{seen} its {' and '.join(most)}"

    def tensors(self) -> dict[str, np.ndarray]:
        return {key: array for name, cloud in self.clouds.items() for key, array in cloud.tensors(name).items()}

    @classmethod
    def from_tensors(cls, refusal: Refusal, tensors: Mapping[str, np.ndarray]) -> Guard:
        try:
            return cls(refusal, {part.name: Cloud.from_tensors(tensors, part.name) for part in refusal.content.parts})
        except KeyError as error:
            raise LimitsUnread.because(f"there is no '{error.args[0]}' among the tensors") from error


def fit_guard(
    mode: str, training: Sequence[Look], tuning: Sequence[Look], training_patients: Sequence[str], patients: Sequence[str]
) -> Guard:
    """The guard of a model.

    training  looks at training cases: what is normal; training_patients (M,) of these
    tuning    looks at tuning cases: where the limits lie; patients (N,) of these
    """
    header = HeaderRules.of([look.header for look in (*training, *tuning)], [*training_patients, *patients])
    counts = {"training": len(training), "tuning": len(tuning)}
    if len(training) < FEWEST or not tuning:
        limits = Limits((), 0.0, 0.0, False, len(set(patients)))
        note = f"Only {len(training)} training and {len(tuning)} tuning cases: images are judged by their headers alone."
        return Guard(Refusal(mode, header, limits, counts, (note,)), {})
    clouds = {}
    for name in training[0].vectors:
        vectors = np.stack([look.vectors[name] for look in training]).astype(np.float64)
        floor = FLOORS[name] * (float(np.sqrt(vectors.var(axis=0).mean())) if name == FEATURES else 1.0)
        clouds[name] = Cloud.of(vectors, max(floor, 1e-6))
    distances = {name: np.array([cloud.distance(look.vectors[name]) for look in tuning]) for name, cloud in clouds.items()}
    limits = fit_limits(distances, patients)
    return Guard(Refusal(mode, header, limits, counts, _notes(limits)), clouds)


def _notes(limits: Limits) -> tuple[str, ...]:
    if not limits.are_known:
        why = "no limit of the content is known, so images are judged by their headers alone."
        return (f"Only {limits.patients} tuning patients: {why}",)
    if not limits.is_reached:
        return (
            f"{limits.patients} tuning patients cannot show a limit that one new patient in fifty passes: images are refused "
            "beyond the farthest of them, with a margin.",
        )
    return ()
