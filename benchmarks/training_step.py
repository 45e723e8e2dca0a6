"""A training step of ours beside nnU-Net's own: same network, patch, batch and deep supervision, measured in turn.

    python3 -m venv nnunet-venv
    nnunet-venv/bin/pip install nnunetv2 "torch==$(python -c 'import torch; print(torch.__version__.split("+")[0])')"
    python benchmarks/training_step.py --nnunet-python nnunet-venv/bin/python

nnU-Net plans the hippocampus set (Task04) itself, `nnUNetv2_plan_and_preprocess`; our U-Net is then built from its plan,
and both must have the same number of learned numbers. Rounds alternate (ours, theirs, ours, theirs ...), because a
shared machine changes from minute to minute: only the ratio within one run means something. The peak of the matrix
unit is measured in each round, and the share reached is taken of the highest of them.

Ours is the real training loop with real batches: augmentation, losses, backward, clipping, optimizer, moving average.
"alone" leaves out the making of the batch. nnU-Net makes its batches in background processes; it is timed as it comes,
and once more with those processes off, so that nothing takes its cores. Aim: at most a third of nnU-Net's seconds.

Without --nnunet-python only ours is measured, and no ratio is given.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from common import WORK, Started, parser, run, say_result, shared_data, spread_of, table, write_result
from network_step import matrix_peak
from nnunet import PLANNED, Peer, Shape
from torch.profiler import ProfilerActivity, profile, schedule

import overread
from overread import networks
from overread.core.errors import OverreadError
from overread.networks.count import cost
from overread.record.events import EventLog
from overread.training.clock import Clock
from overread.training.loop import Looked, Recipe, train
from overread.workflow.plan import Planned, batches_of
from overread.workflow.project import Project

PRECISIONS = ("bfloat16", "float32")
AIM = 1 / 3
PROFILED_STEPS = 2
SHOWN_OPERATORS = 14
DISTURBED = "The matrix peak in {} was measured in busier moments than the steps, so its share means nothing: run again."


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--nnunet-python", type=Path, help="Python of an environment that holds nnunetv2")
    options.add_argument(
        "--nnunet-step", type=Path, help="script that times its step; ../shared/bench/nnunet_step.py where not given"
    )
    options.add_argument("--nnunet-folder", type=Path, default=WORK / "nnunet", help="for its raw and preprocessed data")
    options.add_argument("--steps", type=int, default=6, help="timed in each round, after one to warm up")
    options.add_argument("--rounds", type=int, default=3)
    asked, started = options.parse_args(), Started()
    peer = None
    if asked.nnunet_python is not None:
        step = asked.nnunet_step or shared_data().parent / "bench" / "nnunet_step.py"
        peer = Peer(asked.nnunet_python.absolute(), asked.nnunet_folder.absolute(), step.absolute())
        peer.prepare()
    shape = peer.shape() if peer else PLANNED
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(plan_ours(Path(folder) / "project", shape), shape, Path(folder))
        described = check_same_network(ours, peer)
        rounds = [one_round(ours, peer, asked.steps) for _ in range(asked.rounds)]
        operators = ours.operators()
    figures = {
        **judged(rounds, ours.flops, ours.planned.plan.precision),
        "nnunet": described,
        "shape": vars(shape),
        "parameters": ours.parameters,
    }
    figures |= {"gflop_per_step": round(ours.flops / 1e9, 1), "operators": operators, "rounds": rounds}
    spread = {name: spread_of([r[name]["median"] for r in rounds]) for name in rounds[0] if "seconds" in rounds[0][name]}
    spread |= {f"nnU-Net, {k}": spread_of([r["nnunet"][k]["median"] for r in rounds]) for k in rounds[0].get("nnunet", {})}
    settings = {"steps": asked.steps, "rounds": asked.rounds, "threads": torch.get_num_threads()}
    notes = [DISTURBED.format(p) for p in PRECISIONS if figures[p]["share_of_peak_by_best_step"] > 1]
    path = write_result("training-step", started, settings=settings, figures=figures, spread=spread, notes=notes)
    say_result(path, [*lines_of(figures), *notes])


def plan_ours(folder: Path, shape: Shape) -> Planned:
    """A project of the hippocampus set whose plan has nnU-Net's patch and batch; the rest as the plan chooses."""
    images, folds = shared_data() / "msd_hippocampus", shared_data().parent / "bench" / "hippocampus_folds.json"
    project: Project = overread.init(folder, images=images, sheet=images / "cases.csv", group_by="presumed_subject", splits=folds)
    overrides = {"training.patch": str(list(shape.patch)), "training.batch": str(shape.batch)}
    planned: Planned = project.plan(fold=0, overrides=overrides, preflight=False)
    if planned.plan.preparation.patch != shape.patch:
        raise OverreadError(f"The plan made the patch {planned.plan.preparation.patch} of {shape.patch}.")
    return planned


@dataclass(frozen=True)
class Ours:
    """Our training loop on nnU-Net's network."""

    planned: Planned
    shape: Shape
    folder: Path

    def network(self) -> torch.nn.Module:
        torch.manual_seed(0)
        described = self.planned.plan.network
        return networks.build(
            "unet",
            in_channels=described["in_channels"],
            out_channels=described["out_channels"],
            dimensions=3,
            serves="dense",
            options=self.shape.options(),
        )

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.network().parameters())

    @property
    def flops(self) -> int:
        """Of one step: a multiplication and an addition, forward and twice for the gradients of maps and of weights."""
        return 2 * 3 * cost(self.network(), (self.shape.batch, 1, *self.shape.patch), deep_supervision=True).macs

    def time_steps(self, steps: int, precision: str) -> dict[str, Any]:
        """Seconds of each step in the loop, with the making of the batch and without."""
        ends: list[float] = []
        making: list[float] = []
        batches = batches_of(self.planned.plan, self.planned.cache, self.planned.cohort, "cpu")

        def timed(step: int) -> tuple[torch.Tensor, torch.Tensor]:
            began = time.perf_counter()
            batch = batches(step)
            making.append(time.perf_counter() - began)
            return batch

        self._train(steps + 1, precision, timed, lambda *_: ends.append(time.perf_counter()))
        whole = [after - before for before, after in pairwise(ends)]
        alone = [seconds - made for seconds, made in zip(whole, making[1:], strict=True)]
        return {
            "median": round(statistics.median(whole), 4),
            "median_alone": round(statistics.median(alone), 4),
            "lowest_alone": round(min(alone), 4),
            "seconds": [round(s, 4) for s in whole],
            "batch_making": round(statistics.median(making[1:]), 4),
        }

    def operators(self) -> list[dict[str, Any]]:
        """Share of the time by operator in bfloat16, the slowest first; what no operator accounts for is Python and waiting."""
        batches = batches_of(self.planned.plan, self.planned.cache, self.planned.cohort, "cpu")
        ready = [batches(step) for step in range(2)]
        with profile(
            activities=[ProfilerActivity.CPU], schedule=schedule(wait=0, warmup=1, active=PROFILED_STEPS, repeat=1)
        ) as watched:
            self._train(PROFILED_STEPS + 1, "bfloat16", lambda step: ready[step % 2], lambda *_: watched.step())
        rows = sorted(watched.key_averages(), key=lambda row: -row.self_cpu_time_total)
        total = sum(row.self_cpu_time_total for row in rows)
        return [
            {
                "operator": "outside operators" if row.key.startswith("ProfilerStep") else row.key,
                "calls": row.count // PROFILED_STEPS,
                "ms_per_step": round(row.self_cpu_time_total / 1e3 / PROFILED_STEPS, 1),
                "share": round(row.self_cpu_time_total / total, 4),
            }
            for row in rows
            if row.self_cpu_time_total > 0.001 * total
        ]

    def _train(self, steps: int, precision: str, batches: Any, tell: Any) -> None:
        plan = self.planned.plan
        recipe = Recipe(
            plan.optimizer,
            plan.schedule,
            plan.learning_rate,
            plan.weight_decay,
            plan.warmup_steps,
            steps,
            plan.gradient_clip,
            plan.ema,
            precision,
            True,
            plan.seed,
        )
        train(
            replace(self.planned.task, deep_supervision=True),  # type: ignore[type-var]
            self.network(),
            batches,
            recipe,
            Clock(steps, epochs=1),
            validate=lambda network, *, final: Looked(None, {}),
            events=EventLog(self.folder / "events.jsonl"),
            checkpoint=self.folder / "checkpoint.safetensors",
            identity="",
            tell=tell,
        )


def check_same_network(ours: Ours, peer: Peer | None) -> dict[str, Any] | None:
    described = peer.describe() if peer else None
    if described and described["parameters"] != ours.parameters:
        raise OverreadError(f"The networks differ: {ours.parameters} learned numbers here, {described['parameters']} in nnU-Net.")
    return described


def one_round(ours: Ours, peer: Peer | None, steps: int) -> dict[str, Any]:
    """The peak, ours in both number formats, then theirs."""
    found: dict[str, Any] = {"peak_gflops": {}}
    for precision in PRECISIONS:
        before = matrix_peak(getattr(torch, precision))
        found[precision] = ours.time_steps(steps, precision)
        found["peak_gflops"][precision] = round(max(before, matrix_peak(getattr(torch, precision))), 1)
    if peer:
        found["nnunet"] = {
            "as it comes": peer.time_step(steps, workers=None),
            "alone": peer.time_step(steps, workers=0),
        }
    return found


def judged(rounds: list[dict[str, Any]], flops: int, chosen: str) -> dict[str, Any]:
    """Medians over rounds, the share of the peak, and the ratio to nnU-Net, judged in the number format that the plan chose."""
    found: dict[str, Any] = {}
    for precision in PRECISIONS:
        seconds, best = _median(rounds, precision, "median_alone"), min(r[precision]["lowest_alone"] for r in rounds)
        peak = max(r["peak_gflops"][precision] for r in rounds)  # the highest seen, so that a busy moment flatters nobody
        found[precision] = {
            "seconds": _median(rounds, precision, "median"),
            "seconds_alone": seconds,
            "gflops": round(flops / seconds / 1e9, 1),
            "peak_gflops": peak,
            "share_of_peak": round(flops / seconds / 1e9 / peak, 4),
            "share_of_peak_by_best_step": round(flops / best / 1e9 / peak, 4),
        }
    found["precision_chosen_by_plan"] = chosen
    if "nnunet" in rounds[0]:
        theirs = {kind: statistics.median(r["nnunet"][kind]["median"] for r in rounds) for kind in rounds[0]["nnunet"]}
        found["nnunet_seconds"] = theirs
        found["ratio"] = {
            precision: {
                "ours with its batch / nnU-Net as it comes": round(found[precision]["seconds"] / theirs["as it comes"], 3),
                "ours alone / nnU-Net alone": round(found[precision]["seconds_alone"] / theirs["alone"], 3),
            }
            for precision in PRECISIONS
        }
        found |= {"aim_ratio": round(AIM, 3), "met": all(ratio <= AIM for ratio in found["ratio"][chosen].values())}
    return found


def _median(rounds: list[dict[str, Any]], precision: str, name: str) -> float:
    return round(statistics.median(r[precision][name] for r in rounds), 4)


def lines_of(figures: dict[str, Any]) -> list[str]:
    rows: list[list[object]] = []
    for precision in PRECISIONS:
        row = figures[precision]
        reached = [f"{row['gflops']:.0f}", f"{row['peak_gflops']:.0f}", f"{row['share_of_peak']:.0%}"]
        reached.append(f"{row['share_of_peak_by_best_step']:.0%}")
        rows.append([f"Overread, {precision} channels-last", f"{row['seconds']:.3f}", f"{row['seconds_alone']:.3f}", *reached])
    if "nnunet_seconds" in figures:
        seconds = figures["nnunet_seconds"]
        rows.append(["nnU-Net, its batches made meanwhile", f"{seconds['as it comes']:.3f}", "-", "-", "-", "-", "-"])
        rows.append(["nnU-Net, its batches made before", "-", f"{seconds['alone']:.3f}", "-", "-", "-", "-"])
    lines = table(["median over rounds", "s with batch", "s alone", "GFLOP/s", "matrix peak", "share", "best step"], rows)
    lines.append("")
    if "ratio" in figures:
        lines += [f"{p}: {name}: {ratio:.3f}" for p, ratios in figures["ratio"].items() for name, ratio in ratios.items()]
        chosen = figures["precision_chosen_by_plan"]
        lines.append(f"Aim: at most {AIM:.3f} in {chosen}, which the plan chose here: {'met' if figures['met'] else 'NOT met'}")
    else:
        lines.append("nnU-Net was not measured (no --nnunet-python), so there is no ratio.")
    shown = figures["operators"][:SHOWN_OPERATORS]
    cells = [[o["operator"], o["calls"], f"{o['ms_per_step']:.1f}", f"{o['share']:.1%}"] for o in shown]
    rest = 1 - sum(o["share"] for o in shown)
    cells.append(["all others", "", "", f"{rest:.1%}"])
    return [*lines, "", *table(["operator (bfloat16, alone)", "calls", "ms a step", "share"], cells)]


if __name__ == "__main__":
    run(main)
