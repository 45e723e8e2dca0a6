"""How the network is taught: loss, optimizer, schedule, augmentation, weights and sampling, each with its reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from overread.batches.augment import NONE, Augmentation
from overread.batches.sampler import Sampling
from overread.cohort.fingerprint import Fingerprint
from overread.core.errors import OverreadError
from overread.core.preparation import Preparation
from overread.core.question import Question
from overread.imaging.degrade.simulated import parse_degradation
from overread.networks.needs import has_scales
from overread.tasks import losses_of, make
from overread.tasks.generative.table import USUAL
from overread.tasks.generative.unpaired import CYCLE
from overread.training.object_networks import PER_VOXEL
from overread.training.object_teaching import object_augmentation, object_sampling, refuse_without_voxels
from overread.training.optimizers import OPTIMIZERS, SCHEDULES
from overread.training.picture_geometry import refuse_pairs
from overread.training.wishes import Wishes

OBJECT_RATE = 5e-3  # of muon: objects fill few voxels, and at the usual 2e-3 short trainings ended before they were learned
DRAWN_VOXELS, MOST_DRAWS = 5e8, 16  # of training images in all ways, in float16: 1 GB
IN_TURNS = {"pix2pix": "adam_gan", "cycle": "adam_gan", "dcgan": "adam_gan", "wgan_gp": "adam_wgan"}  # loss -> optimizer
_WHY_LOSS = {
    "segmentation": "Dice is what is judged, cross-entropy is what learns steadily; their sum does both",
    "classification": "probabilities that mean what they say",
    "regression": "squares small errors and counts large ones once, so that an outlier does not lead",
    "objects": "the terms that this network was published with",
    "centres": "each voxel's class by Dice and cross-entropy, the heat of centres by a focal loss, the way to them by distance",
    "dense": "Dice is what is judged, cross-entropy is what learns steadily; their sum does both",
}


def choose_loss(question: Question, wishes: Wishes, reasons: dict[str, str], network: str, route: str = "") -> str:
    """route  questions of objects and of images: what the network answers by"""
    reasons["ema"] = (
        "the weights kept are a moving average over about 3 % of the steps" if not wishes.ema else "set in project.toml"
    )
    if wishes.loss != "auto":
        reasons["loss"] = "set in project.toml"
        refuse_pairs(question, "loss", wishes.loss, CYCLE)
        return make(question, loss=wishes.loss, route=route).loss  # an unknown name is refused here
    if question.is_of_images:
        return _loss_of_pictures(question, network, route, reasons)
    reasons["loss"] = _WHY_LOSS[route or question.task]
    return losses_of(question.task, route)[0]


def _loss_of_pictures(question: Question, network: str, route: str, reasons: dict[str, str]) -> str:
    """What the network was published with; of regressions the first."""
    own = USUAL.get(network, "")
    chosen = own or losses_of(question.task, route)[0]
    reasons["loss"] = "what this network was published with" if own else "the usual of this task"
    return chosen


def choose_early_stopping(wishes: Wishes, reasons: dict[str, str]) -> int:
    if wishes.early_stopping < 0:
        raise OverreadError(
            f"[training] early_stopping = {wishes.early_stopping} is no number of looks.",
            "give how many looks at the tuning cases may pass without a lower loss, or 0 to train to the end",
        )
    reasons["early_stopping"] = (
        "set in project.toml: the tuning cases choose the moment, so their own scores flatter a little"
        if wishes.early_stopping
        else "off: the budget ends the training, and the rate falls to nothing with it"
    )
    return wishes.early_stopping


def choose_optimisation(
    question: Question, wishes: Wishes, name: str, reasons: dict[str, str], is_pretrained: bool = False
) -> tuple[str, str, float, float]:
    """is_pretrained  the weights come from a pretraining without labels: what is asked is still to be learned, at usual rates"""
    learned = wishes.weights != "random" and not is_pretrained
    is_dense = question.task in ("segmentation", "translate", "restore") or (question.is_of_objects and name in PER_VOXEL)
    usual = IN_TURNS.get(_published_loss(wishes, name)) or ("muon" if is_dense and not learned else "adamw")
    optimizer = usual if wishes.optimizer == "auto" else wishes.optimizer
    if optimizer not in OPTIMIZERS:
        raise OverreadError(f"'{optimizer}' is no optimizer.", f"choose one of {', '.join(OPTIMIZERS)} in [training] optimizer")
    schedule = "cosine" if wishes.schedule == "auto" else wishes.schedule
    if schedule not in SCHEDULES:
        raise OverreadError(f"'{schedule}' is no schedule.", f"choose one of {', '.join(SCHEDULES)} in [training] schedule")
    usual_rate, usual_decay = OPTIMIZERS[optimizer]
    if optimizer == "adamw":
        usual_rate = 2e-3 if is_dense else 5e-4 if question.is_of_objects else 1e-3
        usual_decay = 1e-2 if is_dense or question.is_of_objects or question.is_of_images else 5e-2
    elif optimizer == "muon" and question.is_of_objects:
        usual_rate = OBJECT_RATE
    if learned:
        usual_rate /= 5
    rate = usual_rate if wishes.learning_rate == "auto" else float(wishes.learning_rate)
    decay = usual_decay if wishes.weight_decay == "auto" else float(wishes.weight_decay)
    why = {
        "muon": "its orthogonal steps teach a U-Net in about half the steps of adamw",
        "adamw": "learns fast in a short budget without tuning",
        "adam_gan": "a short memory: critic and generator chase each other",
        "adam_wgan": "no memory of directions, as this critic was published with",
    }
    reasons["optimizer"] = why[usual] if wishes.optimizer == "auto" else "set in project.toml"
    reasons["schedule"] = "falls to nothing exactly when the budget ends" if wishes.schedule == "auto" else "set in project.toml"
    reasons["learning_rate"] = (
        "set in project.toml"
        if wishes.learning_rate != "auto"
        else "a fifth of the usual, because the weights were loaded"
        if learned
        else f"usual for {optimizer} and {question.task}"
    )
    return optimizer, schedule, rate, decay


def _published_loss(wishes: Wishes, network: str) -> str:
    return USUAL.get(network, "") if wishes.loss == "auto" else wishes.loss


def choose_augmentation(
    question: Question, wishes: Wishes, preparation: Preparation, reasons: dict[str, str], facts: Fingerprint | None = None
) -> Augmentation:
    """facts  questions of objects: whether their voxels are known, and how many there are"""
    given = wishes.augmentation
    if question.is_of_images and all(value == "auto" for value in given.values()):
        reasons["augmentation"] = (
            "none: the network would learn to answer with resampled or changed images; windows vary by place"
        )
        reasons["mirror"] = "off: a mirrored body does not exist"
        return NONE
    spacing = preparation.spacing or (1.0, 1.0, 1.0)
    in_plane = not preparation.is_planar and max(spacing) > 3 * min(spacing)
    dense = question.task == "segmentation"
    usual = Augmentation(
        mirror=(),
        rotation_degrees=15.0 if dense else 10.0,
        scale=0.2 if dense else 0.1,
        shift=0.0 if dense else 0.06,
        elastic=2.0 if dense else 0.0,
        chance=0.8,
        intensity=1.0 if dense else 0.5,
        in_plane=in_plane,
    )
    if question.is_of_objects and facts is not None:
        usual = object_augmentation(usual, question, facts, reasons)
    changes = {k: v for k, v in given.items() if v != "auto"}
    if "mirror" in changes:
        changes["mirror"] = tuple("zyx".index(axis) for axis in changes["mirror"])
        if changes["mirror"] and question.sided:
            raise OverreadError(
                "Mirroring is on, but the question has sides: a mirrored left would be taught as a right.",
                "set [training.augmentation] mirror = [], or [question] sided = false",
            )
    bends = usual.elastic > 0
    reasons["augmentation"] = "moderate rotation, size and intensity changes" + (
        ", and bending: few patients are shown again and again, never twice the same" if bends else ""
    )
    if question.is_of_objects and facts is not None:
        refuse_without_voxels(changes, facts)
    if changes:
        reasons["augmentation"] += f"; set in project.toml: {', '.join(changes)}"
    reasons["mirror"] = (
        "set in project.toml"
        if "mirror" in changes
        else reasons["mirror"]
        if question.is_of_objects
        else "off: images come in a known orientation, and a mirrored body does not exist"
    )
    return replace(usual, **changes)


def choose_deep_supervision(question: Question, wishes: Wishes, name: str, reasons: dict[str, str]) -> bool:
    if question.task != "segmentation":
        if wishes.deep_supervision is True:
            raise OverreadError(
                f"Deep supervision asks coarse stages for an answer per voxel; {question.task} has "
                f"{_no_coarse_answer(question)}.",
                'leave [training] deep_supervision at "auto"',
            )
        reasons["deep_supervision"] = (
            "coarse stages would merge small objects"
            if question.is_of_objects
            else "a coarse picture is another picture"
            if question.is_of_images
            else "one answer per case has no coarse form"
        )
        return False
    if not has_scales(name):
        if wishes.deep_supervision is True:
            raise OverreadError(
                f"Deep supervision asks a network for several answers, and {name} has one.",
                'leave [training] deep_supervision at "auto", or choose a U-Net',
            )
        reasons["deep_supervision"] = "this network has one answer"
        return False
    if isinstance(wishes.deep_supervision, bool):
        reasons["deep_supervision"] = "set in project.toml"
        return wishes.deep_supervision
    reasons["deep_supervision"] = "coarse stages of the network are asked for an answer too, which speeds early learning"
    return True


def choose_task_options(question: Question, wishes: Wishes, reasons: dict[str, str]) -> dict[str, float | str]:
    """What the task takes beside its loss, as set; whether it takes it, the task says when it is made."""
    if wishes.task and not question.is_of_images:
        raise OverreadError(
            f"[training.task] holds {', '.join(wishes.task)}, and {question.task} takes no options.", "leave [training.task] out"
        )
    if wishes.task:
        reasons["task_options"] = "set in project.toml"
    return dict(wishes.task)


def choose_draws(question: Question, facts: Fingerprint, reasons: dict[str, str]) -> int:
    """As many as a cache of a reasonable size holds: of few images a network learns one draw of noise by heart."""
    if question.task != "restore" or not parse_degradation(question.degradation).is_by_chance:
        return 1
    voxels = float(np.prod(facts.median_shape)) * facts.n_cases * len(facts.channels)
    draws = int(np.clip(DRAWN_VOXELS // max(voxels, 1.0), 1, MOST_DRAWS))
    reasons["draws"] = f"each training image is made worse in {draws} ways, so that no one draw of chance is learned by heart"
    if draws == 1:
        reasons["draws"] = "one for each image: there are so many voxels that none is seen often"
    return draws


def refuse_for_images(question: Question, wishes: Wishes) -> None:
    """What would stop a part of a network that others learn against, or end a training by a loss that does not fall with it."""
    if question.task == "synthesize" and str(wishes.freeze) != "none":
        raise OverreadError(
            "Parts of a network that makes images learn from each other; with one of them frozen nothing is learned.",
            'set [training] freeze = "none"',
        )
    if question.task == "synthesize" and wishes.early_stopping:
        raise OverreadError(
            "The tuning loss of a network that makes images does not say when its images are best.",
            "set [training] early_stopping = 0, and look at what it makes with `overread fidelity`",
        )


def _no_coarse_answer(question: Question) -> str:
    if question.is_of_images:
        return "images as answers"
    return "its answers by object" if question.is_of_objects else "one answer per case"


def choose_scaling(
    question: Question, facts: Fingerprint, reasons: dict[str, str]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if question.task == "restore":
        reasons["scale"] = "what the network answers is what is to be changed, in units of what the degradation usually changed"
        return (0.0,) * len(facts.changed), tuple(round(max(v, 1e-3), 5) for v in facts.changed)
    if question.task != "regression":
        return (), ()
    reasons["scale"] = "numbers are centred and scaled by the training cases' mean and spread"
    moments = [facts.quantities[name] for name in question.classes]
    return tuple(m["mean"] for m in moments), tuple(max(m["std"], 1e-6) for m in moments)


def choose_class_weights(question: Question, facts: Fingerprint, wishes: Wishes, reasons: dict[str, str]) -> tuple[float, ...]:
    if (question.is_of_objects or question.is_of_images) and wishes.class_weights != "none":
        raise OverreadError(
            f'[training] class_weights = "{wishes.class_weights}" has no meaning for {question.task}.',
            'set [training] class_weights = "none"'
            + ("" if question.is_of_images else ', and sampling = "foreground", which shows each class equally often'),
        )
    if wishes.class_weights == "none":
        reasons["class_weights"] = "none: probabilities stay near the true frequencies"
        return ()
    if question.task == "regression" or (question.task == "segmentation" and not question.exclusive):
        what = "a number" if question.task == "regression" else "structures that overlap, as each has an answer of its own"
        raise OverreadError(
            f'[training] class_weights = "{wishes.class_weights}" has no meaning for {what}: there are no classes to balance.',
            'set [training] class_weights = "none"',
        )
    counts = np.array([max(1, facts.class_counts[c]) for c in question.classes], dtype=float)
    if question.task == "segmentation":
        weights = np.concatenate([[1.0], (counts.max() / counts) ** 0.5])
    elif question.exclusive:
        weights = counts.sum() / (len(counts) * counts)
    else:
        weights = (facts.n_cases - counts).clip(1) / counts
    reasons["class_weights"] = "balanced, as set in project.toml: probabilities will need calibration"
    return tuple(round(float(w), 4) for w in weights)


def choose_sampling(
    question: Question, facts: Fingerprint, wishes: Wishes, preparation: Preparation, batch: int, reasons: dict[str, str]
) -> Sampling:
    by_place = question.task == "segmentation" or question.is_of_objects
    known = ("auto", "natural", "foreground" if by_place else "balanced")
    if wishes.sampling not in known:
        raise OverreadError(
            f'[training] sampling = "{wishes.sampling}" means nothing for {question.task}.', f"choose one of {', '.join(known)}"
        )
    if question.is_of_objects:
        return object_sampling(facts, wishes, preparation, batch, reasons)
    if question.task == "segmentation":
        share = 0.0 if wishes.sampling == "natural" else 1 / 3
        reasons["sampling"] = (
            "a third of the windows is centred on a structure, so that rare ones are seen" if share else "set in project.toml"
        )
        return Sampling(batch, share)
    if wishes.sampling == "balanced":
        if question.task != "classification" or not question.exclusive:
            raise OverreadError(
                "Balanced sampling needs exclusive classes.", 'set [training] sampling = "natural", or class_weights = "balanced"'
            )
        reasons["sampling"] = "each class equally often, as set in project.toml (training cases only)"
        return Sampling(batch, is_balanced=True)
    reasons["sampling"] = "each case once per pass, in a new order: natural frequencies"
    if question.is_unpaired:
        reasons["sampling"] = (
            f"each step takes {batch} images of kind {question.conditions[0]} and {batch} of kind {question.conditions[1]}; each "
            "kind once per pass of its own, in a new order: which stand side by side is left to chance"
        )
    return Sampling(batch)
