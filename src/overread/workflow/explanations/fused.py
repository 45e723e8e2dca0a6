"""What the image and each clinical value brought to the answers of a network that reads both: Shapley values per tuning case.

The network turns the image into a few numbers before it looks at the values, so the image is one player: left out, it is that
of another training patient, as a value left out is that patient's value. The image is read once, its head as often as needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from overread.batches.sampler import flatten
from overread.batches.windows import centred_start, cut
from overread.cohort.index import Cohort
from overread.cohort.load import load_image
from overread.cohort.progress import Progress, counted
from overread.cohort.some_cases import some_of
from overread.core.case import Case
from overread.explanation.covariates import EVERY_COALITION, PERMUTATIONS, group_values
from overread.networks.fusion.fused import Fused
from overread.reading.predictor import Predictor
from overread.workflow.baselines.clinical import PREFIX
from overread.workflow.explanations.covariates import BACKGROUND, MOST_CASES, PART, asked_about, by_target, only
from overread.workflow.explanations.record import write_part
from overread.workflow.explanations.subject import Subject

IMAGE = "image"


class _Head(nn.Module):
    """The head of a fused network, asked about rows (B, summary + values)."""

    def __init__(self, network: Fused) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor) -> Tensor:
        return self.network.answer(rows[:, : self.network.summary], rows[:, self.network.summary :])


def explain_fused(subject: Subject, run: str, fold: int | None, progress: Progress | None = None) -> dict[str, Any] | None:
    """The part "covariates" of a run whose network reads clinical values, written and returned; None for any other.

    run  what the run is called in the project
    """
    predictor, cohort = subject.model.predictor, subject.cohort
    if not isinstance(predictor, Predictor) or not isinstance(predictor.network, Fused):
        return None
    clinical, question = predictor.preparation.clinical, predictor.task.question
    assert clinical is not None
    training = cohort.of("training")
    drawn = np.sort(np.random.default_rng(0).permutation(len(training))[:BACKGROUND])
    shown = some_of(cohort.of("tuning"), question, MOST_CASES)
    rows = _rows(predictor, cohort, [*shown, *(training[k] for k in drawn)], progress)
    first = predictor.network.summary
    groups = {n: np.arange(first + s.start, first + s.stop) for n, s in zip(clinical.names, clinical.spans, strict=True)}
    groups[IMAGE] = np.arange(first)
    wanted = asked_about(question)
    answers = only(_answers(predictor), [number for number, _ in wanted])
    values = group_values(answers, rows[: len(shown)], rows[len(shown) :], groups)
    names = [IMAGE] * first + [f"{PREFIX}{variable.name}" for variable in clinical.variables for _ in range(variable.width)]
    targets = by_target(question, [name for _, name in wanted], shown, groups, names, values)
    for target in targets:
        whole = sum(row["mean_absolute"] for row in target["groups"]) or 1.0
        target["groups"] = [{**row, "share": row["mean_absolute"] / whole} for row in target["groups"]]
    record = {
        "model": subject.model.card.sha256,
        "cohort": cohort.digest,
        "run": run,
        "fold": fold,
        "is_phantom": cohort.is_phantom,
        "is_network": True,
        "chosen": subject.model.card.network["name"],
        "n_cases": len(shown),
        "n_patients": len({case.patient_id for case in shown}),
        "of_cases": len(cohort.of("tuning")),
        "n_background": len(drawn),
        "is_exact": values.standard_error is None,
        "permutations": None if len(groups) <= EVERY_COALITION else PERMUTATIONS,
        "targets": targets,
    }
    write_part(subject.run, PART, record)
    return record


@torch.inference_mode()
def _rows(predictor: Predictor, cohort: Cohort, cases: Sequence[Case], progress: Progress | None) -> np.ndarray:
    """(N, summary + values) of cases, as the head reads them; in float32, without mirroring."""
    network = predictor.network.eval()
    assert isinstance(network, Fused)
    rows = []
    for case in counted(cases, len(cases), "Reading images for the part of each value", progress):
        prepared = predictor.prepare(load_image(cohort, case))
        assert prepared.clinical is not None
        patch = predictor.preparation.patch
        window = cut(prepared.array, centred_start(prepared.array.shape[1:], patch), patch)
        image = flatten(torch.from_numpy(window[None]).to(predictor.device).float(), predictor.preparation.dimensions)
        rows.append(np.concatenate([network.inner(image)[0].float().cpu().numpy(), prepared.clinical]))
    return np.stack(rows).astype(np.float64)


def _answers(predictor: Predictor) -> Callable[[np.ndarray], np.ndarray]:
    """(M, summary + values) to (M, K): probabilities before any calibration, or numbers in their units."""
    assert isinstance(predictor.network, Fused)
    head = _Head(predictor.network).eval()

    @torch.inference_mode()
    def answers(table: np.ndarray) -> np.ndarray:
        rows = torch.from_numpy(table).to(predictor.device).float()
        return np.asarray(predictor.task.respond(head, rows).double().cpu().numpy())

    return answers
