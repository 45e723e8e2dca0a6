"""One case through the whole chain, and a grid of augmented examples, on a page to look at before hours are spent."""

from __future__ import annotations

import numpy as np
import torch

from overread.batches.cache import Cache, PreparedCase
from overread.batches.prepare import prepare_image
from overread.batches.sampler import Batches, ObjectTarget, fixed_patches, is_list
from overread.cohort.fingerprint import Fingerprint
from overread.cohort.index import Cohort
from overread.cohort.load import load_image, load_truth
from overread.core.case import Case
from overread.networks.torchvision_objects.anchors import STRIDES
from overread.record.run import RunFolder
from overread.reporting.pictures.prepared_objects import ObjectsShown
from overread.reporting.preflight import ObjectPages, write_preflight
from overread.training.object_geometry import seen_sizes
from overread.training.plan import Plan

EXAMPLES = 9


def write_page(run: RunFolder, plan: Plan, cohort: Cohort, cache: Cache, batches: Batches, facts: Fingerprint) -> None:
    """batches: of the training cases, augmented, on the processor"""
    case = _telling_case(cohort, cache)
    image, truth = load_image(cohort, case), load_truth(cohort, case)
    chain = prepare_image(image, plan.preparation)
    held = cache.cases[case.case_id]
    is_of_objects = held.objects is not None
    write_preflight(
        run.path / "preflight.html",
        case_id=case.case_id,
        image=image,
        truth=truth,
        prepared=chain.array,
        prepared_label=None if is_of_objects or plan.question.is_of_images else _label(np.array(held.target)),
        examples=[] if is_of_objects else _examples(held, batches, plan),
        plan=plan.as_dict(),
        is_phantom=cohort.is_phantom,
        objects=_object_pages(held, chain.array, batches, plan, facts) if is_of_objects else None,
    )


def _telling_case(cohort: Cohort, cache: Cache) -> Case:
    """A training case that shows as many structures, or classes of objects, as any, so that there is something to show."""

    def told(case: Case) -> tuple[int, int, str]:
        held = cache.cases[case.case_id]
        classes = len(np.unique(held.objects.classes)) if held.objects is not None else len(held.points)
        return classes, min(len(held.objects), 8) if held.objects is not None else 0, case.case_id

    return max(cohort.of("training"), key=told)


def _label(target: np.ndarray) -> np.ndarray | None:
    return target if target.ndim == 3 else target.max(0) if target.ndim == 4 else None


def _shown_steps(plan: Plan) -> int:
    return 2 if plan.sampling.batch > 3 else 4


def _examples(held: PreparedCase, batches: Batches, plan: Plan) -> list[tuple[np.ndarray, np.ndarray | None]]:
    plain, targets = fixed_patches([held], plan.preparation.patch, plan.preparation.dimensions)
    examples = []
    for step in range(-1, _shown_steps(plan)):
        images, labels = batches(step) if step >= 0 else (plain, targets)
        assert not is_list(labels)
        examples += [_example(i, t, plan) for i, t in zip(images, labels, strict=True)][:6]
    return examples[:EXAMPLES]


def _example(image: torch.Tensor, target: torch.Tensor, plan: Plan) -> tuple[np.ndarray, np.ndarray | None]:
    """(C, Z, Y, X) float32 and its (Z, Y, X) label or None."""
    array, label = image.numpy()[: len(plan.preparation.channels)], target.numpy()  # clinical values are no picture
    if plan.preparation.dimensions == 2:
        array = array[:, None]
        label = label[:, None] if label.ndim == 3 else label
    if label.ndim != 4 or plan.question.is_of_images:
        return array, None
    return array, label[0] if plan.question.exclusive else label.max(0)


def _object_pages(held: PreparedCase, prepared: np.ndarray, batches: Batches, plan: Plan, facts: Fingerprint) -> ObjectPages:
    assert held.objects is not None
    names = plan.question.classes
    numbers = held.target if held.target.ndim == 4 and len(held.target) else None
    case = ObjectsShown(prepared, held.objects.boxes, tuple(names[k] for k in held.objects.classes), names, numbers)
    plain, targets = fixed_patches([held], plan.preparation.patch, plan.preparation.dimensions)
    examples: list[ObjectsShown] = []
    for step in range(-1, _shown_steps(plan)):
        images, asked = batches(step) if step >= 0 else (plain, targets)
        examples += [_object_example(i, t, plan) for i, t in zip(images, asked, strict=True)][:6]
    axes = slice(3 - plan.preparation.dimensions, 3)
    edges = {
        name: [float(v) for v in np.exp(np.log(np.maximum(rows[:, axes], 0.1)).mean(axis=1))]
        for name, rows in seen_sizes(facts, plan.preparation).items()
    }
    options = plan.network["options"]
    steps = options.get("coarsest") or STRIDES.get(plan.network["name"], (1,))[:1]
    anchors = [] if plan.network["name"] not in STRIDES else options.get("anchor_sizes", [])
    return ObjectPages(case, examples[:EXAMPLES], edges, sorted({float(s) for s in steps}), [float(a) for a in anchors])


def _object_example(image: torch.Tensor, target: ObjectTarget | torch.Tensor, plan: Plan) -> ObjectsShown:
    """One image of a batch; a route by an answer per voxel has a map of classes in place of objects."""
    is_planar, names = plan.preparation.dimensions == 2, plan.question.classes
    array = image.numpy()[:, None] if is_planar else image.numpy()
    if isinstance(target, torch.Tensor):
        label = target.numpy().astype(np.int32)
        return ObjectsShown(array, np.zeros((0, 6)), (), names, label[:, None] if is_planar else label)
    numbers = target["numbers"].numpy() if "numbers" in target else None
    if numbers is not None and is_planar:
        numbers = numbers[:, None]
    return ObjectsShown(array, target["boxes"].numpy(), tuple(names[int(k)] for k in target["classes"]), names, numbers)
