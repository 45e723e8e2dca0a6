"""How a network is taught objects: what it is shown how often, and how that is changed, each with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from overread.batches.augment import Augmentation
from overread.batches.sampler import Sampling
from overread.cohort.fingerprint import Fingerprint
from overread.core.errors import OverreadError
from overread.core.preparation import Preparation
from overread.core.question import Question
from overread.training.wishes import Wishes

CENTRED = 0.5  # of the windows of cases with an object. Source: Baumgartner et al., nnDetection, MICCAI 2021
MOST_CLEAN = 0.5  # images without any object: above this share they are drawn more seldom
CLEAN = 1 / 3
RARE = 3.0  # times fewer cases than the commonest class has: then classes are shown equally often
FEW = 1000  # objects: below this they are pasted into other images, too


def object_augmentation(usual: Augmentation, question: Question, facts: Fingerprint, reasons: dict[str, str]) -> Augmentation:
    """Mirroring, bending and pasting as the truth allows."""
    mirror = () if question.sided else (2,)
    reasons["mirror"] = (
        "off: the question has sides"
        if question.sided
        else "left and right: an object is one on either side, and there are few to learn from; set [question] sided = true "
        "where the side is part of the answer"
    )
    total = sum(f.count for f in facts.objects.values())
    pasted = 0.25 if facts.have_voxels and total < FEW else 0.0
    reasons["elastic"] = (
        "boxes are taken anew from the bent outlines" if facts.have_voxels else "off: boxes without outlines cannot be bent"
    )
    reasons["copy_paste"] = (
        f"{total} objects are few, so some are laid into other images of this cohort, near the place they had, upon no other "
        "object and with a soft edge"
        if pasted
        else f"off: {total} objects are enough to learn from"
        if facts.have_voxels
        else "off: boxes without outlines cannot be cut out"
    )
    return replace(
        usual,
        mirror=mirror,
        rotation_degrees=15.0 if facts.have_voxels else 10.0,
        scale=0.2,
        shift=0.05,
        elastic=1.0 if facts.have_voxels else 0.0,
        copy_paste=pasted,
    )


def refuse_without_voxels(changes: dict[str, Any], facts: Fingerprint) -> None:
    """Bending and pasting need to know which voxels belong to an object."""
    asked = next((name for name in ("elastic", "copy_paste") if changes.get(name)), None)
    if asked and not facts.have_voxels:
        raise OverreadError(
            f"[training.augmentation] {asked} needs the outline of every object, and the truth has boxes.",
            f'leave {asked} at "auto"',
        )


def object_sampling(
    facts: Fingerprint, wishes: Wishes, preparation: Preparation, batch: int, reasons: dict[str, str]
) -> Sampling:
    """Windows centred on objects, rare classes, and images without findings."""
    if wishes.sampling == "natural":
        reasons["sampling"] = "set in project.toml: each case once per pass, windows anywhere"
        return Sampling(batch)
    counts = [f.cases for f in facts.objects.values() if f.count]
    is_uneven = len(counts) > 1 and max(counts) > RARE * min(counts)
    is_whole = preparation.shape is not None
    share = CENTRED if not is_whole or is_uneven or wishes.sampling == "foreground" else 0.0
    if is_whole:
        why = "each image once per pass" if not share else "half of the images are drawn by class, each class equally often"
        why += ": rare classes would be seen too seldom" if share and is_uneven else ""
    else:
        why = "half of the windows lie about an object, of each class equally often; the others anywhere"
    natural = facts.cases_without / facts.n_cases
    clean = CLEAN if natural > MOST_CLEAN else None
    if facts.cases_without:
        why += (
            f"; {natural:.0%} of the images show nothing to find: a third of each pass is drawn from them, so that the network "
            "learns to be silent and still has something to learn from"
            if clean
            else f"; images without findings come at their own share ({natural:.0%}), so that the network learns to be silent"
        )
    reasons["sampling"] = why
    return Sampling(batch, share, clean=clean)
