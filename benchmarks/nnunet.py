"""nnU-Net v2 in an environment of its own: its plan for the hippocampus, and its own training step timed.

Source: Isensee et al., Nature Methods 18, 203 (2021).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import shared_data

from overread.core.errors import OverreadError
from overread.record.files import read_json, write_json

DATASET, NUMBER, CONFIGURATION = "Dataset004_Hippocampus", "4", "3d_fullres"
TIMED = re.compile(r"median ([\d.]+) s, min ([\d.]+), max ([\d.]+), batch \(([\d, ]+)\), (\w+), (\d+) threads")
COUNT = """
import json, sys, importlib.metadata
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
shape = json.load(open(sys.argv[1]))["configurations"]["3d_fullres"]["architecture"]
network = get_network_from_plans(
    shape["network_class_name"], shape["arch_kwargs"], shape["_kw_requires_import"], 1, 3, deep_supervision=True)
print(sum(p.numel() for p in network.parameters()), importlib.metadata.version("nnunetv2"), importlib.metadata.version("torch"))
"""


@dataclass(frozen=True)
class Shape:
    """What nnU-Net planned: enough to build the same network here."""

    patch: tuple[int, ...]
    batch: int
    features: tuple[int, ...]
    kernels: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]
    encoder_blocks: tuple[int, ...]
    decoder_blocks: tuple[int, ...]

    def options(self) -> dict[str, Any]:
        """As options of our U-Net."""
        names = ("features", "kernels", "strides", "encoder_blocks", "decoder_blocks")
        return {name: getattr(self, name) for name in names}


# What nnU-Net v2.8 plans for all 260 volumes of Task04; used where no environment with nnU-Net is given.
PLANNED = Shape(
    (40, 56, 40),
    9,
    (32, 64, 128, 256),
    ((3, 3, 3),) * 4,
    ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
    (2, 2, 2, 2),
    (2, 2, 2),
)


@dataclass(frozen=True)
class Peer:
    """An environment with nnU-Net, and the folder for its data."""

    python: Path
    folder: Path
    step: Path  # the script that times its training step

    @property
    def plans(self) -> Path:
        return self.folder / "preprocessed" / DATASET / "nnUNetPlans.json"

    def run(self, words: Sequence[str | Path], **environment: str) -> str:
        places = {f"nnUNet_{name}": str(self.folder / name) for name in ("raw", "preprocessed", "results")}
        command = [str(word) for word in words]
        found = subprocess.run(command, env={**os.environ, **places, **environment}, capture_output=True, text=True)
        if found.returncode != 0:
            raise OverreadError(f"nnU-Net ended with exit code {found.returncode}:\n{(found.stdout + found.stderr)[-2000:]}")
        return found.stdout

    def prepare(self) -> None:
        """Copy the hippocampus volumes into nnU-Net's layout, and let it plan and preprocess them; once."""
        if self.plans.exists():
            return
        source, raw = shared_data() / "msd_hippocampus", self.folder / "raw" / DATASET
        for folder in ("imagesTr", "labelsTr"):
            (raw / folder).mkdir(parents=True, exist_ok=True)
        names = sorted(path.name.removesuffix(".nii.gz") for path in (source / "labelsTr").glob("*.nii.gz"))
        for name in names:
            shutil.copyfile(source / "imagesTr" / f"{name}.nii.gz", raw / "imagesTr" / f"{name}_0000.nii.gz")
            shutil.copyfile(source / "labelsTr" / f"{name}.nii.gz", raw / "labelsTr" / f"{name}.nii.gz")
        labels = {"background": 0, "Anterior": 1, "Posterior": 2}
        about = {"channel_names": {"0": "MRI"}, "labels": labels, "numTraining": len(names), "file_ending": ".nii.gz"}
        write_json(raw / "dataset.json", about)
        self.run([self.python.with_name("nnUNetv2_plan_and_preprocess"), "-d", NUMBER, "-c", CONFIGURATION, "-np", "2"])

    def shape(self) -> Shape:
        plan = read_json(self.plans)["configurations"][CONFIGURATION]
        network = plan["architecture"]["arch_kwargs"]
        return Shape(
            tuple(plan["patch_size"]),
            plan["batch_size"],
            tuple(network["features_per_stage"]),
            tuple(tuple(kernel) for kernel in network["kernel_sizes"]),
            tuple(tuple(stride) for stride in network["strides"]),
            tuple(network["n_conv_per_stage"]),
            tuple(network["n_conv_per_stage_decoder"]),
        )

    def describe(self) -> dict[str, Any]:
        """Learned numbers of its network, and its versions."""
        parameters, version, torch = self.run([self.python, "-c", COUNT, self.plans]).split()[-3:]
        return {"parameters": int(parameters), "nnunetv2": version, "torch": torch}

    def time_step(self, iterations: int, *, workers: int | None) -> dict[str, Any]:
        """Seconds of its own training step.

        workers  background processes that augment meanwhile; None leaves that to nnU-Net, 0 augments between the steps
        """
        environment = {} if workers is None else {"nnUNet_n_proc_DA": str(workers)}
        output = self.run([self.python, self.step, DATASET, CONFIGURATION, str(iterations)], **environment)
        match = TIMED.search(output)
        if match is None:
            raise OverreadError(f"{self.step.name} printed no time:\n{output[-1000:]}")
        median, low, high = (float(match[k]) for k in (1, 2, 3))
        shape = json.loads(f"[{match[4]}]")
        return {"median": median, "lowest": low, "highest": high, "batch": shape, "device": match[5], "threads": int(match[6])}
