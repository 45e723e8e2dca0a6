"""What `project.toml` may say. Every fault is reported at once, with the nearest known name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation.decisions.false_positives import false_positives_rule
from overread.evaluation.decisions.threshold_rules import parse_rule
from overread.evaluation.rules import prevalences
from overread.metrics.objects.criterion import Criterion

Auto = Literal["auto"]
Code = Annotated[str, StringConstraints(pattern=r"^\s*\S+\s+\S+\s+\S.{0,63}$")]  # scheme, value, meaning
Task = Literal[
    "classification", "regression", "segmentation", "detection", "instances",
    "autoencode", "vae", "translate", "restore", "synthesize",
]  # fmt: skip


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProjectSection(_Section):
    name: str  # of the project; part of the model file's name
    format: int = 1  # version of this file's form


class ImagesSection(_Section):
    folder: str  # absolute, or relative to the project folder
    channels: dict[str, str | dict[str, str]] = Field(default_factory=dict)  # channel -> end of its files' names, or rule
    series: dict[str, str] = Field(default_factory=dict)  # field -> pattern: which of several DICOM series of an exam counts
    missing: Literal["refuse", "zeros"] = "refuse"  # an exam without a channel: leave it out, or fill the channel with zeros
    gaps: Literal["refuse", "resample"] = "refuse"  # missing slices: refuse the series, or interpolate and say so
    tilt: Literal["refuse", "resample"] = "refuse"  # a tilted gantry: refuse the series, or undo the shear and say so

    @model_validator(mode="before")
    @classmethod
    def _as_rules(cls, values: Any) -> Any:
        """Numbers as patterns; and the form before channels had rules: a list of names, rules as "channel.field" of series.

        A list of names without such rules told what was found by itself, and still is.
        """
        if not isinstance(values, dict):
            return values
        series, channels = values.get("series", {}), values.get("channels", {})
        if isinstance(channels, list | tuple) and isinstance(series, dict):
            dotted = {k: v for k, v in series.items() if "." in k}
            rules: dict[str, Any] = {}
            for key, pattern in dotted.items():
                rules.setdefault(key.rpartition(".")[0], {})[key.rpartition(".")[2]] = pattern
            channels, series = rules, {k: v for k, v in series.items() if k not in dotted}
        return {**values, "channels": _patterns(channels), "series": _patterns(series)}


def _patterns(values: Any) -> Any:
    """thickness = 1.5 says the same as thickness = "1.5"."""
    if isinstance(values, dict):
        return {k: _patterns(v) for k, v in values.items()}
    return f"{values:g}" if isinstance(values, int | float) and not isinstance(values, bool) else values


class TruthSection(_Section):
    path: str | None = None  # masks or a label file
    sheet: str | None = None  # ids, groups, covariates, labels
    id_column: str | None = None  # column of the sheet that names the images
    label_columns: tuple[str, ...] = ()  # columns of the sheet that hold the truth
    names: dict[str, str] = Field(default_factory=dict)  # value as written in the truth -> name of its class or structure
    reader: str = "unknown"  # who gave the reference standard
    method: str = "unknown"  # how
    date: str = ""  # when it was given


class QuestionSection(_Section):
    task: Task  # what is asked
    classes: tuple[str, ...]  # classes, structures or quantities, in order
    values: tuple[int, ...] = ()  # label value of each structure, or class of objects, in the masks
    others: tuple[str, ...] = ()  # classes of the truth that are not asked: background, and an answer there is false
    positive: str | None = None  # the class that counts as disease
    exclusive: bool = True  # exactly one class per case; structures do not overlap
    ordered: bool = False  # the classes are grades, from low to high
    units: tuple[str, ...] = ()  # unit of each quantity
    unit: Literal["lesion", "side", "exam", "patient"] = "exam"  # unit of analysis
    aggregation: Literal["none", "max", "mean", "any"] = "none"  # from the unit of an image to the unit of analysis
    index_exam: str = "all"  # "all", "first", "last", or "nearest to COLUMN within N days"
    sided: bool = False  # left and right are different answers: no mirroring
    objects: Literal["components", "values"] = "components"  # in masks: connected voxels are one object, or each value is
    given: tuple[str, ...] = ()  # translate, restore ...: channels that are read; `classes` are those of the answer
    conditions: tuple[str, ...] = ()  # synthesize: classes that can be asked for; translate without pairs: kind read, kind wanted
    guides: tuple[str, ...] = ()  # synthesize: structures of the masks along which images are made; their values in `values`
    degradation: str = ""  # restore: what is done to an image before it is read, e.g. "low_dose:0.25"


class CohortSection(_Section):
    group_by: str | None = None  # column that names the patient; None where nothing does
    site: str | None = None  # column with the hospital
    scanner: str | None = None  # column with the scanner
    date: str | None = None  # column with the date of the exam, for the index exam
    side: str | None = None  # column that says left or right
    covariates: tuple[str, ...] = ()  # further columns for the table of the partitions


class SplitSection(_Section):
    scheme: Literal["partitions", "folds", "given"] = "partitions"  # how cases were divided; frozen in splits.json
    given: str | None = None  # file, or column of the sheet, that gave the split
    tuning: float = 0.15  # share of the patients
    internal: float = 0.2  # share of the patients
    folds: int = 5  # number of folds
    stratify_by: str | None = None  # column whose levels are spread evenly, beside the classes
    seed: int = 0
    leak_override: str = ""  # the reason, where a leak is accepted; recorded in the ledger


class RegionSection(_Section):
    model: str = ""  # a model file; every image is cut to a structure that it outlines. Relative to the project folder
    structure: str = ""  # which one; may be left out where it outlines one alone
    margin_mm: Annotated[float, Field(ge=0)] = 10.0  # kept around it


class AugmentationSection(_Section):
    mirror: tuple[Literal["z", "y", "x"], ...] | Auto = "auto"
    rotation_degrees: float | Auto = "auto"
    scale: float | Auto = "auto"  # 0.2 means 0.8 to 1.2
    shift: float | Auto = "auto"  # largest shift as a share of the patch; 0 is off
    elastic: float | Auto = "auto"  # root mean square displacement in voxels; 0 is off
    intensity: float | Auto = "auto"  # 1.0 is the usual strength; 0 is off
    copy_paste: float | Auto = "auto"  # objects with outlines: chance that an image is given some of another image; 0 is off
    hide_clinical: float | Auto = "auto"  # chance that a clinical value, or all of a case, is hidden in training; 0 is off


class TrainingSection(_Section):
    architecture: str = "auto"  # a name from `overread networks list`, or timm:, torchvision:, monai:NAME
    network: dict[str, Any] = Field(default_factory=dict)  # options of the architecture (`overread networks show NAME`)
    weights: str = "random"  # "random", "hub", a file of weights, a model file, a folder of a MONAI bundle, or run:NAME
    freeze: str | int = "none"  # what keeps its weights: "none", "features" (all but the head), or so many stages from the entry
    unfreeze: float = 0.0  # share of the budget after which what is frozen learns too, the stage next to the head first; 0 never
    layer_decay: float = 1.0  # rate of a stage relative to the one above it; below 1 the entry learns slowest
    clinical: tuple[str, ...] = ()  # columns of the sheet that the network reads beside the image
    fusion: Literal["concatenation", "modulation"] = "concatenation"  # clinical values side by side with the image, or scaling it
    semi: Literal["none", "mean_teacher", "pseudo_labels"] = "none"  # how images without a truth are learned from
    unlabelled: str = ""  # where they lie: a folder, or "rest": training cases whose truth this run is not told
    dimensions: Literal[2, 3] | Auto = "auto"
    spacing: tuple[float, float, float] | Auto = "auto"
    patch: tuple[int, int, int] | Auto = "auto"
    batch: int | Auto = "auto"
    minutes: float | None = None  # budget of `overread train` where it is told none
    epochs: int | None = None  # the same, in epochs
    loss: str = "auto"  # by name; `overread plan` says which it took
    task: dict[str, float | str] = Field(default_factory=dict)  # questions of images: what the task takes, e.g. denoising = 0.2
    optimizer: str = "auto"  # muon, adamw, adam, sgd, rmsprop; adam_gan, adam_wgan
    schedule: str = "auto"  # cosine, polynomial, linear, constant
    learning_rate: float | Auto = "auto"
    weight_decay: float | Auto = "auto"
    class_weights: Literal["none", "balanced"] = "none"
    sampling: Literal["natural", "balanced", "foreground"] | Auto = "auto"
    deep_supervision: bool | Auto = "auto"
    dropout: float = 0.0  # share of features dropped in training
    ema: float = 0.0  # decay of the moving average of weights; 0 chooses it from the number of steps
    early_stopping: int = 0  # looks at the tuning cases without a lower loss that end training; the best is kept; 0 is off
    gradient_clip: float = 12.0  # longest gradient that is followed
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0
    augmentation: AugmentationSection = AugmentationSection()

    @field_validator("clinical", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        """On the command line age,sex says the same as ["age", "sex"]."""
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


class EvaluationSection(_Section):
    hypothesis: str = ""
    primary_endpoint: str = ""  # "metric" or "metric/subject", e.g. "auc" or "dice/liver"
    declared: tuple[str, ...] = ()  # secondary endpoints
    margin: float | None = None
    sampling: Literal["consecutive", "enriched", "unknown"] = "unknown"  # cases as they came, or positives sought out
    prevalence: float | dict[str, float] | None = None  # share of positives where it is to be used: 0.02, or by class
    threshold_rule: str = "youden"  # or "miss at most 2 of 100", "a miss costs 10 false alarms", "sensitivity >= 0.95", "0.5"
    calibration: Literal["temperature", "platt", "isotonic", "none"] = "temperature"  # of probabilities, fitted on tuning cases
    surface_tolerance_mm: float = 2.0
    matching: str = "auto"  # what finds an object: "iou 0.5", "distance 10 mm" (or px), "hit"; auto: IoU of 0.5, in 3D 0.1
    false_positives: float = 1.0  # of each class per case, at most, where thresholds of objects are chosen on tuning cases
    interval_level: float = 0.95
    resamples: int = 2000


class ReadingSection(_Section):
    refusal: Literal["on", "warn", "off"] = "on"  # images unlike those of training: refuse them, only warn, or do not look


class Settings(_Section):
    project: ProjectSection
    images: ImagesSection
    truth: TruthSection = TruthSection()
    question: QuestionSection
    cohort: CohortSection = CohortSection()
    split: SplitSection = SplitSection()
    region: RegionSection = RegionSection()
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection = EvaluationSection()
    reading: ReadingSection = ReadingSection()
    codes: dict[str, Code] = Field(default_factory=dict)  # name of a class -> its code in DICOM results: "SCT 10200004 Liver"

    @model_validator(mode="after")
    def _can_be_decided(self) -> Settings:
        """Whether the operating point can be chosen is known before training, not after it."""
        asked, evaluation = self.question, self.evaluation
        question = Question(asked.task, asked.classes, positive=asked.positive, exclusive=asked.exclusive)
        try:
            parse_rule(evaluation.threshold_rule)
            prevalences(question, evaluation.prevalence)
            Criterion.parse(evaluation.matching)
            false_positives_rule(evaluation.false_positives)
        except OverreadError as error:
            raise ValueError(f"{error.what} To put it right: {error.next}.") from error
        return self
