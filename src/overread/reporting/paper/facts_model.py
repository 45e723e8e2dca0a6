"""Sentences about preparation, network and training, from the plan and the events of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting import words
from overread.reporting.given import Record, ReportInput
from overread.reporting.page import upper_first
from overread.reporting.sections.planning import value_words

_LOSSES = {
    "cross_entropy": "cross-entropy",
    "dice_ce": "the sum of soft Dice loss and cross-entropy",
    "dice": "soft Dice loss",
    "focal": "focal loss",
    "own": "the network's own sum of terms for what and where objects are",
}
_HEAT = {"focal": "focal loss", "squared": "squared error"}


def preparation(plan: Record) -> str:
    """Orientation, grid, intensities: what was done to every image; "" where no plan was recorded."""
    made = plan.get("preparation") or {}
    if not made:
        return ""
    region = made.get("region")
    parts = ["Images were brought into one orientation"]
    if region:
        parts.append(f"cut to the {region['structure']} that a first model outlined, with {region['margin_mm']:g} mm around")
    if made.get("spacing"):
        parts.append(f"resampled to {value_words(list(made['spacing']), 'mm (Z, Y, X)')}")
    if made.get("shape"):
        parts.append(f"brought to an input of {value_words(list(made['shape']))} pixels (Z, Y, X), aspect kept")
    elif made.get("patch"):
        parts.append(f"presented in windows of {value_words(list(made['patch']))} voxels (Z, Y, X)")
    channels = made.get("channels") or []
    several = f" The input channels were {words.listed(channels)}." if len(channels) > 1 else ""
    scaled = words.listed(list(dict.fromkeys(_scaling(n, made.get("units", "")) for n in made.get("normalisation") or [])))
    scaling = f" Intensities were {scaled}." if made.get("normalisation") else ""
    return f"{words.listed(parts)}.{scaling}{several}{_clinical(plan, made)}"


def _clinical(plan: Record, made: Mapping[str, Any]) -> str:
    """Which columns of the sheet were read beside the image, and how; "" where none was."""
    variables = (made.get("clinical") or {}).get("variables") or []
    if not variables:
        return ""
    told = [
        f"{v['name']} (less its mean of {v['mean']:.3g}, over its standard deviation of {v['sd']:.3g} in the training cases)"
        if v["kind"] == "number"
        else f"{v['name']} ({', '.join(v['levels'])} or other)"
        for v in variables
    ]
    fusion = (plan.get("network") or {}).get("fusion") or {}
    how = {
        "concatenation": "side by side with a summary of the image",
        "modulation": "by scaling and shifting a summary of the image",
    }.get(str(fusion.get("by")), "beside the image")
    hidden = (plan.get("augmentation") or {}).get("hide_clinical")
    taught = f", and in training {hidden:.0%} of the values were hidden at random" if hidden else ""
    return f" Clinical values were read {how}: {words.listed(told)}. A missing value had an indicator of its own{taught}."


def _scaling(rule: Mapping[str, Any], units: str) -> str:
    if rule["scheme"] == "window":
        of = f" {units}" if units else ""
        return (
            f"clipped to {rule['low']:.4g} to {rule['high']:.4g}{of} and standardised by the mean ({rule['mean']:.4g}) and "
            f"standard deviation ({rule['std']:.4g}) of the training cases"
        )
    return "clipped to each image's own 0.5th and 99.5th percentile and standardised by its own mean and standard deviation"


def network(given: ReportInput) -> str:
    """Name, dimensions, inputs, outputs and size; "" where no plan was recorded."""
    made = given.plan.get("network") or {}
    name = made.get("name") or made.get("architecture")
    if not name:
        return ""
    size = (given.plan.get("expected") or {}).get("parameters")
    parts = [f"The network was {name}"]
    if made.get("dimensions"):
        parts.append(f"in {made['dimensions']} dimensions")
    if made.get("in_channels") and made.get("out_channels"):
        parts.append(f"with {made['in_channels']} input and {made['out_channels']} output channels")
    counted = f" ({size:,} weights)" if size else ""
    options = "; ".join(f"{key.replace('_', ' ')} {value_words(value)}" for key, value in (made.get("options") or {}).items())
    return f"{' '.join(parts)}{counted}.{f' Its options were: {options}.' if options else ''}"


def start_of_weights(plan: Record, events: Mapping[str, Sequence[Record]]) -> str:
    """Random or loaded, and from what; "" where no plan was recorded."""
    if "weights" not in plan:
        return ""
    loaded = [str(e.get("what", "")) for rows in events.values() for e in rows if e.get("event") == "weights"]
    if loaded:
        return f"Weights were loaded before training: {'; '.join(dict.fromkeys(loaded))}."
    if plan["weights"] == "random":
        return f"All weights began at random (seed {plan['seed']})." if "seed" in plan else "All weights began at random."
    return f"Weights began from {plan['weights']}."


def training(given: ReportInput) -> str:
    """Loss, optimiser, schedule, batch, length, precision, machine; "" where no plan was recorded."""
    plan = given.plan
    if not plan:
        return ""
    recipe: Mapping[str, Any] = plan if "loss" in plan else plan.get("training") or {}
    parts = []
    if "loss" in recipe:
        parts.append(f"The loss was {_loss(str(recipe['loss']), str((plan.get('network') or {}).get('serves', '')))}.")
    if "optimizer" in recipe:
        rate = f" with a learning rate of {recipe['learning_rate']:g}" if "learning_rate" in recipe else ""
        decay = f" and a weight decay of {recipe['weight_decay']:g}" if "weight_decay" in recipe else ""
        schedule = f", on a {recipe['schedule']} schedule" if "schedule" in recipe else ""
        parts.append(f"The optimiser was {recipe['optimizer']}{rate}{decay}{schedule}.")
    batch = (plan.get("sampling") or {}).get("batch") or recipe.get("batch")
    parts.append(_length(given, batch))
    parts.append(_augmentation(plan.get("augmentation")))
    parts.append(_machine(given, recipe))
    return " ".join(part for part in parts if part)


def _loss(name: str, serves: str) -> str:
    """A network of centres has three terms, of which the setting names the one for the heat of centres."""
    if serves == "centres":
        heat = _HEAT.get(name, name)
        return (
            f"the sum of soft Dice loss and cross-entropy of the voxels' classes, {heat} of the centres and the error of offsets"
        )
    return _LOSSES.get(name, name)


def _length(given: ReportInput, batch: int | None) -> str:
    each = []
    for events in given.events.values():
        epochs = [e for e in events if e.get("event") == "epoch"]
        ended: Record = next((e for e in reversed(list(events)) if e.get("event") in ("finished", "stopped")), {})
        minutes = ended.get("minutes") or (epochs[-1].get("minutes") if epochs else None)
        if epochs:
            each.append(f"{len(epochs)} epochs{f' in {minutes:.1f} minutes' if minutes is not None else ''}")
    lasted = (
        f"Training took {each[0]}" if len(each) == 1 else f"Training took {words.listed(each)}, one for each fold" if each else ""
    )
    size = f"{' with' if lasted else 'Training was with'} batches of {batch}" if batch else ""
    return f"{lasted}{size}." if lasted or size else ""


def _augmentation(changes: Mapping[str, Any] | None) -> str:
    if changes is None:
        return ""
    on = []
    if changes.get("rotation_degrees"):
        on.append(f"rotated by up to {changes['rotation_degrees']:g} degrees")
    if changes.get("scale"):
        on.append(f"scaled by a factor of {1 - changes['scale']:g} to {1 + changes['scale']:g}")
    if changes.get("shift"):
        on.append(f"shifted by up to {100 * changes['shift']:g} % of the field of view")
    if changes.get("elastic"):
        on.append(f"bent (root mean square displacement {changes['elastic']:g} voxels)")
    if changes.get("intensity"):
        on.append(f"changed in intensity (strength {changes['intensity']:g} of the usual)")
    if changes.get("mirror"):
        on.append(f"mirrored along {words.listed([str(axis) for axis in changes['mirror']])}")
    return f"Training images were {words.listed(on)} at random." if on else "Training images were not augmented."


def _machine(given: ReportInput, recipe: Mapping[str, Any]) -> str:
    computer = given.provenance.get("machine") or {}
    if not computer:
        return ""
    precision = f" in {recipe['precision']}" if recipe.get("precision") else ""
    return f"Computation was{precision} on {computer.get('processor')} ({computer.get('cores')} cores)."


def final_model(given: ReportInput) -> str:
    """How the weights that are tested were chosen, and what was fitted on tuning cases."""
    if not given.plan:
        return ""
    kept = (
        "The weights of the end of training were kept (a moving average over the last steps); no epoch was picked by its score."
    )
    decisions = given.model.get("decisions") or {}
    fitted = []
    if decisions.get("operating_points") or (given.evaluation or {}).get("operating_points"):
        fitted.append("the operating point")
    if decisions.get("temperature", 1.0) != 1.0:
        fitted.append(f"the temperature of the probabilities ({decisions['temperature']:.3g})")
    if decisions.get("keep_largest") or decisions.get("minimum_ml"):
        fitted.append("the clean-up of masks")
    if decisions.get("minimum_size") or decisions.get("merge_overlap") is not None:
        fitted.append("the clean-up of objects")
    return (
        f"{kept} {upper_first(words.listed(fitted))} {'were' if len(fitted) > 1 else 'was'} fitted on tuning cases alone."
        if fitted
        else kept
    )
