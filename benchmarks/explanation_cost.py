"""Seconds that each attribution method takes for one case, 2D and 3D, with its own parameters as they are set.

usage: python benchmarks/explanation_cost.py [--method NAME,NAME] [--case 2d,3d,...] [--repeats 3] [--threads 2]

2d        a film of 224 x 224 pixels, the ResNet-18 that the plan chooses for one on a processor (32 channels)
2d-64     the same with 64 channels, as published
3d        a volume of 64 x 64 x 64 voxels of 1 mm, the ResNet-10 of the plan on a processor (16 channels, resolution kept)
3d-64     the ResNet-10 of the plan on a graphics card (64 channels, resolution kept)
3d-plain  the ResNet-10 as published (64 channels, a stem that halves twice)

Weights are random: seconds do not depend on them. Occlusion is also timed window by window, as a plain loop over whole
windows would be, on the first windows and multiplied by their number. Needs an idle machine.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from common import Started, parser, run, say_result, spread_of, table, write_result

from overread import networks
from overread.batches.prepare import prepare_image
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Decisions, Question
from overread.explanation.asked import Asked, ask
from overread.explanation.methods.occlusion import Occlusion
from overread.explanation.methods.table import METHODS, make
from overread.networks.layout import to_channels_last
from overread.networks.memory import keep_freed_memory
from overread.reading.predictor import Predictor
from overread.tasks import make as make_task
from overread.tasks.target import Target

GATE = 60.0  # seconds: occlusion of a volume of 64 voxels each way, patch and stride 8, on two cores
FILM, VOLUME = (1, 224, 224), (64, 64, 64)
LOOPED = 4  # windows of the plain loop that are timed


@dataclass(frozen=True)
class Subject:
    """A network and the image that it is asked about."""

    network: str
    shape: tuple[int, int, int]
    options: dict[str, Any]

    @property
    def dimensions(self) -> int:
        return 2 if self.shape[0] == 1 else 3


SUBJECTS = {
    "2d": Subject("resnet18", FILM, {"width": 32, "image_size": FILM[1:]}),
    "2d-64": Subject("resnet18", FILM, {"width": 64, "image_size": FILM[1:]}),
    "3d": Subject("resnet10", VOLUME, {"width": 16, "image_size": VOLUME}),
    "3d-64": Subject("resnet10", VOLUME, {"width": 64, "image_size": VOLUME}),
    "3d-plain": Subject("resnet10", VOLUME, {"width": 64}),
}


def main() -> None:
    arguments = _arguments()
    started = Started()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    names = arguments.method.split(",") if arguments.method else list(METHODS)
    figures: dict[str, Any] = {}
    spread: dict[str, Any] = {}
    for case in arguments.case.split(","):
        asked = asked_of(SUBJECTS[case])
        figures[case], spread[case] = {}, {}
        for name in names:
            refusal = make(name).refusal(asked)
            if refusal is not None:
                figures[case][name] = {"refusal": refusal}
                continue
            seconds = [timed(name, asked) for _ in range(arguments.repeats)]
            figures[case][name] = {"seconds": round(min(seconds), 3)}
            spread[case][name] = spread_of(seconds, 3)
            print(f"{case:9} {name:24} {min(seconds):9.2f} s", flush=True)
        if "occlusion" in names:
            figures[case]["occlusion"] |= {"patches": len(Occlusion().places(asked)), "plain_loop_seconds": plain_loop(asked)}
    kinds = {name: f"{s.network}, {s.options}, {'x'.join(map(str, s.shape))}" for name, s in SUBJECTS.items() if name in figures}
    settings = {"threads": arguments.threads, "repeats": arguments.repeats, "subjects": kinds, "gate_seconds": GATE}
    notes = ["Seconds of the fastest repetition; methods with the parameters that they have where nothing is said; float32."]
    path = write_result("explanation_cost", started, settings=settings, figures=figures, spread=spread, notes=notes)
    rows = [[name, *(shown(figures[case].get(name, {})) for case in figures)] for name in names]
    loops = [
        "occlusion, plain loop",
        *(f"{figures[case].get('occlusion', {}).get('plain_loop_seconds', 0):.1f}" for case in figures),
    ]
    say_result(path, [*table(["seconds per case", *figures], [*rows, loops]), "", verdict(figures)])


def asked_of(subject: Subject) -> Asked:
    """A random network asked about a random image."""
    torch.manual_seed(0)
    question = Question("classification", ("absent", "present"), positive="present")
    network = networks.build(
        subject.network, in_channels=1, out_channels=2, dimensions=subject.dimensions, serves="image", options=subject.options
    )
    is_planar = subject.dimensions == 2
    spacing = None if is_planar else (1.0, 1.0, 1.0)
    preparation = Preparation(
        ("image",), "a.u.", subject.dimensions, spacing, subject.shape, subject.shape, is_planar, (Normalisation("per-image"),)
    )
    predictor = Predictor(to_channels_last(network).eval(), make_task(question), preparation, Decisions())
    values = np.random.default_rng(0).normal(size=(1, *subject.shape)).astype(np.float32)
    grid = Grid.from_spacing(subject.shape, spacing_known=not is_planar, is_planar=is_planar)
    return ask(predictor, prepare_image(Image(values, grid), preparation), Target("present", 1))


def timed(name: str, asked: Asked) -> float:
    method = make(name)
    begun = time.perf_counter()
    method(asked)
    return time.perf_counter() - begun


def plain_loop(asked: Asked) -> float:
    """Seconds of a loop over whole windows, one after the other, from the first of them."""
    with torch.inference_mode():
        asked.score(asked.images)
        begun = time.perf_counter()
        for _ in range(LOOPED):
            asked.score(asked.images)
        each = (time.perf_counter() - begun) / LOOPED
    return round(each * len(Occlusion().places(asked)), 1)


def shown(figure: dict[str, Any]) -> str:
    return f"{figure['seconds']:.2f}" if "seconds" in figure else "cannot" if "refusal" in figure else ""


def verdict(figures: dict[str, Any]) -> str:
    found = {case: row["occlusion"]["seconds"] for case, row in figures.items() if case.startswith("3d") and "occlusion" in row}
    words = [f"{case}: {seconds:.1f} s, {'reached' if seconds < GATE else 'MISSED'}" for case, seconds in found.items()]
    return f"Occlusion of 64 x 64 x 64 voxels under {GATE:g} s: {'; '.join(words) or 'not measured'}"


def _arguments() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--method", help="Names with commas between; all otherwise.")
    options.add_argument("--case", default=",".join(SUBJECTS), help=f"Some of {', '.join(SUBJECTS)}.")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--threads", type=int, default=2)
    return options.parse_args()


if __name__ == "__main__":
    run(main)
