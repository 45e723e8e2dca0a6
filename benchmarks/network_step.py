"""Time one training step of the U-Net, and say where the time goes.

usage: python benchmarks/network_step.py [--batch 9] [--repeats 6] [--precision bfloat16] [--compile] [--out FILE.json]

The network, patch and deep supervision are nnU-Net's plan for the hippocampus (Task04): 40 x 56 x 40 voxels, batch 9.
The matrix peak is measured in the same run, between the steps, because a shared machine changes from minute to minute.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from overread.networks.count import cost
from overread.networks.dense.unet import UNet
from overread.networks.layout import memory_format, to_channels_last
from overread.networks.memory import keep_freed_memory
from overread.networks.stages import plan_stages

PATCH = (40, 56, 40)
CLASSES = 3
SCALE_WEIGHTS = (4 / 7, 2 / 7, 1 / 7)
PEAK_SIZE = 2048  # of the square matrices whose product stands for the peak


def main() -> None:
    arguments = _arguments()
    keep_freed_memory()
    torch.manual_seed(0)
    precision = getattr(torch, arguments.precision)
    stages = plan_stages(PATCH, (1.0, 1.0, 1.0))
    network = UNet(1, CLASSES, stages.features, stages.kernels, stages.strides)
    to_channels_last(network)
    macs = cost(network, (arguments.batch, 1, *PATCH), deep_supervision=True).macs
    step = make_step(network, arguments.batch, precision, arguments.compile)
    started = time.perf_counter()
    step()
    first = time.perf_counter() - started
    step()
    seconds, peaks = [], []
    for _ in range(arguments.repeats):
        peaks.append(matrix_peak(precision))
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    operations = 6 * macs  # forward, and twice as many for the gradients of maps and weights
    reached = operations / min(seconds) / 1e9
    result = {
        "batch": arguments.batch,
        "precision": arguments.precision,
        "compiled": arguments.compile,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "first_step_seconds": round(first, 2),
        "step_seconds": {"median": round(statistics.median(seconds), 3), "min": round(min(seconds), 3)},
        "gflop_per_step": round(operations / 1e9, 1),
        "gflops_reached": round(reached, 1),
        "matrix_peak_gflops": round(max(peaks), 1),
        "share_of_peak": round(reached / max(peaks), 3),
        "operators": [] if arguments.compile else operators(step),
    }
    show(result)
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--compile", action="store_true", help="let torch.compile write the step")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def make_step(network: UNet, batch: int, precision: torch.dtype, is_compiled: bool) -> Any:
    """One whole training step as a function: forward at all scales, Dice and cross-entropy, backward, optimizer."""
    optimizer = torch.optim.SGD(network.parameters(), 1e-2, momentum=0.99, nesterov=True)
    images = torch.randn(batch, 1, *PATCH).contiguous(memory_format=memory_format(5))
    truth = torch.randint(0, CLASSES, (batch, *PATCH))
    truths = [truth[:, ::by, ::by, ::by].contiguous() for by in (1, 2, 4)]
    ask = torch.compile(network.forward_scales) if is_compiled else network.forward_scales

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            scales = ask(images)
        pairs = zip(SCALE_WEIGHTS, scales, truths, strict=True)
        losses = [weight * dice_and_cross_entropy(logits.float(), labels) for weight, logits, labels in pairs]
        torch.stack(losses).sum().backward()
        optimizer.step()

    return step


def dice_and_cross_entropy(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """nnU-Net's loss, in its plainest form."""
    shares = logits.softmax(1)
    wanted = functional.one_hot(truth, CLASSES).movedim(-1, 1).float()
    axes = (0, 2, 3, 4)
    dice = 2 * (shares * wanted).sum(axes) / (shares + wanted).sum(axes)
    return functional.cross_entropy(logits, truth) - dice.mean()


def matrix_peak(precision: torch.dtype) -> float:
    """GFLOP/s of a square matrix product, the best of a few."""
    matrix = torch.randn(PEAK_SIZE, PEAK_SIZE).to(precision)
    best = float("inf")
    for _ in range(4):
        started = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - started)
    return 2 * PEAK_SIZE**3 / best / 1e9


def operators(step: Any) -> list[dict[str, Any]]:
    """Milliseconds per operator in one more step, slowest first."""
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        step()
    rows = sorted(watched.key_averages(), key=lambda row: -row.self_cpu_time_total)
    total = sum(row.self_cpu_time_total for row in rows)
    return [
        {
            "operator": row.key,
            "calls": row.count,
            "ms": round(row.self_cpu_time_total / 1e3, 1),
            "share": round(row.self_cpu_time_total / total, 3),
        }
        for row in rows[:14]
    ]


def show(result: dict[str, Any]) -> None:
    for key, value in result.items():
        if key != "operators":
            print(f"{key:22} {value}")
    for row in result["operators"]:
        print(f"  {row['operator']:42} {row['calls']:5} calls {row['ms']:9.1f} ms {row['share']:6.1%}")


if __name__ == "__main__":
    main()
