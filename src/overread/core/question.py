"""What is asked of a case, what was decided on tuning data, and what a model answered."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from overread.core.kinds import Kind, Map
from overread.core.slices import SliceShare

UNITS_OF_ANALYSIS = ("lesion", "side", "exam", "patient")
PICTURES = ("autoencode", "vae", "translate", "restore")  # tasks that answer a case with an image
LABELLED = ("classification", "regression", "segmentation", "detection", "instances")  # tasks whose truth somebody gave
TASKS = (*LABELLED, *PICTURES, "synthesize")
OBJECTS = ("components", "values")  # how masks tell objects apart


@dataclass(frozen=True)
class Question:
    """What is asked of each case.

    task       one of `TASKS`
    classes    classification: class names in label order; segmentation: structure names without
               background; regression: names of the measured quantities; detection and instances: classes of the objects;
               pictures: channels of the image that is answered; synthesize: channels of the images that are made
    values     segmentation, and objects that come from masks: the label value of each structure in the truth files; synthesize
               along masks: of each of the `guides`
    positive   the class that counts as disease where there are two exclusive ones; named by the
               user, never guessed
    exclusive  exactly one class per case (multi-class) against any number (multi-label); for
               segmentation, structures do not overlap
    ordered    classes have an order (grades)
    units      regression: unit of each quantity
    unit       unit of analysis
    sided      left and right are different answers, so mirroring is not a harmless augmentation
    objects    detection and instances, where the truth is a mask: "components", connected voxels of one structure are one
               object; "values", every value of the mask is one object, all of the one class
    given      pictures: channels of the case's own image that are read; the truth is made of the channels in `classes`
    conditions synthesize: classes of which images can be asked for; empty where they are made without being asked. translate
               without pairs: the kind of image that is read, and the kind that is answered; each case is of one of them
    guides     synthesize: structures of the masks along which images are made; the truth of a case is its mask
    degradation  restore: what is done to the image before it is read, as `imaging/degrade` writes it; the truth is the image
               as it came
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
    objects: str = "components"
    given: tuple[str, ...] = ()
    degradation: str = ""
    conditions: tuple[str, ...] = ()
    guides: tuple[str, ...] = ()

    @property
    def of_masks(self) -> Question:
        """Synthesize along masks: what the masks show, as a question of its own; of other questions they themselves."""
        if not self.guides:
            return self
        return Question("segmentation", self.guides, self.values, unit=self.unit, sided=self.sided)

    @property
    def is_of_pictures(self) -> bool:
        """The answer is an image; its truth lies in the images of the case, not in a file of its own."""
        return self.task in PICTURES

    @property
    def is_of_images(self) -> bool:
        """Images are learned for their own sake: no case has a class, a structure or an object."""
        return self.is_of_pictures or self.task == "synthesize"

    @property
    def is_unpaired(self) -> bool:
        """Images of one kind are to become images of another, and no case has both: none has a true picture."""
        return self.task == "translate" and bool(self.conditions)

    @property
    def is_of_objects(self) -> bool:
        """The answer is a list of objects: boxes, or instances with their voxels."""
        return self.task in ("detection", "instances")

    @property
    def is_binary(self) -> bool:
        """Two exclusive classes: one probability says it all."""
        return self.task == "classification" and self.exclusive and len(self.classes) == 2

    def as_dict(self) -> dict[str, Any]:
        """Plain values; what only some questions have is left out elsewhere, so that the others keep their digests."""
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        absent: tuple[str, ...] = () if self.is_of_objects else ("objects",)
        absent += () if self.is_of_pictures else ("given", "degradation")
        absent += () if self.task == "synthesize" or self.is_unpaired else ("conditions",)
        absent += () if self.guides else ("guides",)
        return {k: v for k, v in values.items() if k not in absent}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Question:
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)


@dataclass(frozen=True)
class OperatingPoint:
    """A frozen threshold: a finding is called when its probability is at least `threshold`.

    rule          how it was chosen, e.g. "youden", "miss at most 2 of 100 (sensitivity >= 0.98)"; where the data could not
                  support the rule that was asked for, the rule that replaced it, and why
    sensitivity, specificity   on the cases it was fitted on
    is_supported  the cases could show that the aim is reached; False where another rule had to take its place
    needed        not supported: how many positive (or negative) cases of different patients would be needed
    lower_bound   rules with an aim: one-sided 95 % lower bound of what was aimed at, on the cases it was fitted on
    positives, negatives       number of those cases
    """

    class_name: str
    threshold: float
    rule: str
    fitted_on: str = "tuning"
    sensitivity: float | None = None
    specificity: float | None = None
    is_supported: bool = True
    needed: int | None = None
    lower_bound: float | None = None
    positives: int | None = None
    negatives: int | None = None


@dataclass(frozen=True)
class Recalibration:
    """How the raw probability of one finding is bent until it means what it says.

    method            "Platt": 1 / (1 + exp(-(intercept + slope * logit p))); "isotonic": a rising line through knots
    knots, values     isotonic: raw probabilities, rising, and what becomes of them; straight between, level outside
    prevalence        stated share of positives that the probabilities are meant for; None: that of the tuning cases
    """

    class_name: str
    method: str
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    prevalence: float | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recalibration:
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)


@dataclass(frozen=True)
class ConformalLimit:
    """How far an answer may lie from the truth in the share `coverage` of new patients (split conformal prediction).

    name        a class, or a quantity
    is_present  findings that may occur together have two limits each: for cases with the finding, and without it
    limit       class: the largest 1 - probability with which it still belongs to the set of answers;
                quantity: half the width of the interval, in its unit; None where the patients were too few for any
    n_patients  that it was fitted on, each counting once
    """

    name: str
    coverage: float
    limit: float | None
    n_patients: int
    is_present: bool = True
    fitted_on: str = "tuning"


@dataclass(frozen=True)
class Tried:
    """Objects: a rule of post-processing that was tried on tuning cases, and what came of it.

    rule           "merge_overlap" or "minimum_size", as in `Decisions`
    subject        the class, or "mean" over classes
    value          the limit that was tried
    before, after  mean sensitivity at 1/8 to 8 false positives per case, without and with it
    taken          only a clear gain is taken, and of several the largest
    """

    rule: str
    subject: str
    value: float
    before: float
    after: float
    taken: bool


@dataclass(frozen=True)
class Decisions:
    """Everything that was decided on tuning data and travels, frozen, inside the model.

    operating_points  one per finding
    temperature       probabilities are softmax or sigmoid of logits / temperature; 1.0 is none
    keep_largest      segmentation: structures of which only the largest component is kept
    minimum_ml        segmentation: components below this volume are dropped, by structure
    recalibration     one per finding, in place of a temperature; empty where there is none
    conformal         limits of the sets of classes, or intervals, that hold the truth in a stated share of patients
    merge_overlap     objects: of two of one class that overlap by more (intersection over union) the lower score is dropped;
                      None where nothing is merged
    minimum_size      objects: class -> longest edge (mm; pixels where the spacing is unknown) below which one is dropped
    tried             objects: every merging and least size that was tried on the tuning cases, taken or not
    """

    operating_points: tuple[OperatingPoint, ...] = ()
    temperature: float = 1.0
    keep_largest: tuple[str, ...] = ()
    minimum_ml: dict[str, float] = field(default_factory=dict)
    recalibration: tuple[Recalibration, ...] = ()
    conformal: tuple[ConformalLimit, ...] = ()
    merge_overlap: float | None = None
    minimum_size: dict[str, float] = field(default_factory=dict)
    tried: tuple[Tried, ...] = ()

    def threshold(self, class_name: str) -> float:
        for point in self.operating_points:
            if point.class_name == class_name:
                return point.threshold
        return 0.5

    def as_dict(self) -> dict[str, Any]:
        """Plain values; what a model of an earlier form did not have is left out where it is empty."""
        values = asdict(self)
        newer = ("recalibration", "conformal", "merge_overlap", "minimum_size", "tried")
        return {k: v for k, v in values.items() if k not in newer or v not in ((), {}, None)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Decisions:
        return cls(
            tuple(OperatingPoint(**p) for p in values.get("operating_points", ())),
            values.get("temperature", 1.0),
            tuple(values.get("keep_largest", ())),
            dict(values.get("minimum_ml", {})),
            tuple(Recalibration.from_dict(r) for r in values.get("recalibration", ())),
            tuple(ConformalLimit(**c) for c in values.get("conformal", ())),
            values.get("merge_overlap"),
            dict(values.get("minimum_size", {})),
            tuple(Tried(**t) for t in values.get("tried", ())),
        )


@dataclass(frozen=True)
class Reading:
    """A model's answer for one case.

    answer   Findings, Measurements, LabelMap, Boxes or Instances on the source's own grid, decisions applied
    maps     probability maps by structure, where asked for
    refusal  why the model does not answer, "" where it does
    code     short name of that reason
    distance how far the content lies from the training images: above 1 it is refused; None where no limit is known
    missing  clinical variables that the model reads beside the image, and nobody gave
    slices   the planes of the source that the answer rests on most, where the network tells; the largest share first
    """

    case_id: str
    answer: Kind | None
    maps: tuple[Map, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str = ""
    code: str = ""
    distance: float | None = None
    missing: tuple[str, ...] = ()
    slices: tuple[SliceShare, ...] = ()
