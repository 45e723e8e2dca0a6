"""What can be switched off, one at a time: the settings that do it, or the reason why it says nothing about this training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from overread.core.errors import OverreadError
from overread.networks.table import ARCHITECTURES
from overread.training.plan import Plan
from overread.workflow.settings import TrainingSection

Off = Mapping[str, str] | str  # settings, or why there is nothing to switch off
LAST_WEIGHTS = "1e-9"  # decay of the moving average that follows at once
STILL = {"mirror": "[]", "rotation_degrees": "0", "scale": "0", "shift": "0", "elastic": "0", "intensity": "0", "copy_paste": "0"}
RESIDUAL, PLAIN = "resnet", "plain"


@dataclass(frozen=True)
class Switch:
    """One part of a training.

    title  what is switched off
    off    (plan of the base, its settings) to the settings that switch it off, or to the reason why there is nothing to do
    """

    title: str
    off: Callable[[Plan, TrainingSection], Off]


def _skips(plan: Plan, training: TrainingSection) -> Off:
    """Skip connections of a U-Net, or the sums of a residual network."""
    name = str(plan.network["name"])
    row = ARCHITECTURES.get(name)
    if row is not None and "skips" in row.options:
        return {"training.network.skips": "false"}
    twin = f"{PLAIN}{name.removeprefix(RESIDUAL)}"
    if name.startswith(RESIDUAL) and twin in ARCHITECTURES:
        return {"training.architecture": twin}
    return f"{name} has none that can be left out, and no plain twin"


def _augmentation(plan: Plan, training: TrainingSection) -> Off:
    return {f"training.augmentation.{key}": value for key, value in STILL.items()}


def _mirror(plan: Plan, training: TrainingSection) -> Off:
    return {"training.augmentation.mirror": "[]"} if plan.augmentation.mirror else "training mirrors no image"


def _copy_paste(plan: Plan, training: TrainingSection) -> Off:
    is_on = plan.augmentation.copy_paste > 0
    return {"training.augmentation.copy_paste": "0"} if is_on else "no object is copied into another image here"


def _normalisation(plan: Plan, training: TrainingSection) -> Off:
    name = str(plan.network["name"])
    row = ARCHITECTURES.get(name)
    takes = row is not None and "norm" in row.options
    return {"training.network.norm": "none"} if takes else f"{name} does not offer to leave its normalisation out"


def _pretraining(plan: Plan, training: TrainingSection) -> Off:
    if plan.weights == "random":
        return "the network begins with random weights as it is"
    return {
        "training.weights": "random",
        "training.freeze": "none",
        "training.unfreeze": "0",
        "training.layer_decay": "1",
    }


def _deep_supervision(plan: Plan, training: TrainingSection) -> Off:
    return {"training.deep_supervision": "false"} if plan.deep_supervision else "coarse stages are asked for no answer here"


def _ema(plan: Plan, training: TrainingSection) -> Off:
    return {"training.ema": LAST_WEIGHTS}


def _dropout(plan: Plan, training: TrainingSection) -> Off:
    return {"training.dropout": "0"} if training.dropout else "nothing is dropped here"


def _weight_decay(plan: Plan, training: TrainingSection) -> Off:
    return {"training.weight_decay": "0"} if plan.weight_decay else "there is no weight decay here"


def _class_weights(plan: Plan, training: TrainingSection) -> Off:
    return {"training.class_weights": "none"} if plan.class_weights else "classes are not weighted here"


def _clinical(plan: Plan, training: TrainingSection) -> Off:
    return {"training.clinical": "[]"} if training.clinical else "the network reads the image alone"


SWITCHES: dict[str, Switch] = {
    "skips": Switch("skip connections", _skips),
    "augmentation": Switch("augmentation, all of it", _augmentation),
    "mirror": Switch("mirrored images in training", _mirror),
    "copy_paste": Switch("objects copied into other images", _copy_paste),
    "normalisation": Switch("normalisation layers", _normalisation),
    "pretraining": Switch("loaded weights", _pretraining),
    "deep_supervision": Switch("deep supervision", _deep_supervision),
    "ema": Switch("moving average of the weights", _ema),
    "dropout": Switch("dropout", _dropout),
    "weight_decay": Switch("weight decay", _weight_decay),
    "class_weights": Switch("class weights", _class_weights),
    "clinical": Switch("clinical values beside the image", _clinical),
}
READING = {
    "test_mirror": "the answers to mirrored images, averaged",
    "test_changes": "the answers to images moved and developed a little otherwise, averaged",
}
USUAL = ("skips", "augmentation", "normalisation", "pretraining", "deep_supervision", "ema")


def chosen_switches(named: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of switches of training, and of reading, each once; the usual ones of training where none is named."""
    known = (*SWITCHES, *READING)
    for name in named:
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise OverreadError(
                f"There is no switch '{name}'." + (f" Did you mean '{near[0]}'?" if near else ""),
                f"--switch takes, joined by commas: {', '.join(known)}",
            )
    asked = tuple(dict.fromkeys(named)) or USUAL
    return tuple(n for n in asked if n in SWITCHES), tuple(n for n in asked if n in READING)
