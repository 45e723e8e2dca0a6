"""What is asked of a case, what was decided on tuning data, and what a model answered."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from overread.core.kinds import Kind, Map

UNITS_OF_ANALYSIS = ("lesion", "side", "exam", "patient")
TASKS = ("classification", "regression", "segmentation")


@dataclass(frozen=True)
class Question:
    """What is asked of each case.

    task       one of `TASKS`
    classes    classification: class names in label order; segmentation: structure names without
               background; regression: names of the measured quantities
    values     segmentation: the label value of each structure in the truth files
    positive   the class that counts as disease where there are two exclusive ones; named by the
               user, never guessed
    exclusive  exactly one class per case (multi-class) against any number (multi-label); for
               segmentation, structures do not overlap
    ordered    classes have an order (grades)
    units      regression: unit of each quantity
    unit       unit of analysis
    sided      left and right are different answers, so mirroring is not a harmless augmentation
    """

    task: str
    classes: tuple[str, ...]
    values: tuple[int, ...] = ()
    positive: str | None = None
    exclusive: bool = True
    ordered: bool = False
    units: tuple[str, ...] = ()
    unit: str = "exam"
    sided: bool = False

    @property
    def is_binary(self) -> bool:
        """Two exclusive classes: one probability says it all."""
        return self.task == "classification" and self.exclusive and len(self.classes) == 2

    def as_dict(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Question:
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)


@dataclass(frozen=True)
class OperatingPoint:
    """A frozen threshold: a finding is called when its probability is at least `threshold`."""

    class_name: str
    threshold: float
    rule: str  # e.g. "Youden", "sensitivity >= 0.95"
    fitted_on: str = "tuning"
    sensitivity: float | None = None
    specificity: float | None = None


@dataclass(frozen=True)
class Decisions:
    """Everything that was decided on tuning data and travels, frozen, inside the model.

    operating_points  one per finding
    temperature       probabilities are softmax or sigmoid of logits / temperature; 1.0 is none
    keep_largest      segmentation: structures of which only the largest component is kept
    minimum_ml        segmentation: components below this volume are dropped, by structure
    """

    operating_points: tuple[OperatingPoint, ...] = ()
    temperature: float = 1.0
    keep_largest: tuple[str, ...] = ()
    minimum_ml: dict[str, float] = field(default_factory=dict)

    def threshold(self, class_name: str) -> float:
        for point in self.operating_points:
            if point.class_name == class_name:
                return point.threshold
        return 0.5

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Decisions:
        points = tuple(OperatingPoint(**p) for p in values.get("operating_points", ()))
        return cls(
            points,
            values.get("temperature", 1.0),
            tuple(values.get("keep_largest", ())),
            dict(values.get("minimum_ml", {})),
        )


@dataclass(frozen=True)
class Reading:
    """A model's answer for one case.

    answer   Findings, Measurements or LabelMap on the source's own grid, decisions applied
    maps     probability maps by structure, where asked for
    refusal  why the model does not answer, "" where it does
    """

    case_id: str
    answer: Kind | None
    maps: tuple[Map, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str = ""
