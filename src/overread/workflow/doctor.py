"""Look at this machine: what is installed, how fast it is, what is missing and how to get it.

Runs without torch too, and then says so: this is the one file outside the learning rooms that may import it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import psutil

from overread.record.provenance import machine

try:
    import torch
except ImportError:  # the whole point is to say what is missing
    torch = None  # type: ignore[assignment]

BASE = (
    "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "scikit-image", "pydicom", "highdicom", "nibabel", "pynrrd",
    "pillow", "pydantic", "click", "rich", "Jinja2", "matplotlib", "openpyxl", "tomlkit", "psutil",
)  # fmt: skip
LEARN = ("torch", "torchvision", "timm", "monai", "einops", "lightning-fabric", "safetensors")

# Package, the module that loads its compiled part, and what it decodes. All of them may be used freely;
# pylibjpeg-libjpeg (GPL) is left out on purpose.
CODECS = (
    ("pyjpegls", "jpeg_ls", "JPEG-LS"),
    ("pylibjpeg-openjpeg", "openjpeg", "JPEG 2000 and High-Throughput JPEG 2000"),
    ("pylibjpeg-rle", "rle", "RLE"),
    ("python-gdcm", "gdcm", "JPEG baseline, JPEG lossless, JPEG-LS, JPEG 2000"),
    ("pillow", "PIL.Image", "JPEG baseline"),
)
BYTES_PER_GIB = 2**30
LITTLE_DISK_GIB = 10.0
LITTLE_MEMORY_GIB = 4.0


def doctor(folder: Path = Path(".")) -> dict[str, Any]:
    """Everything that can be said of this machine; `folder` is where projects will lie (its disk is looked at)."""
    packages = {"base": versions(BASE), "learn": versions(LEARN)}
    hands = devices()
    found: dict[str, Any] = {
        "overread": metadata.version("overread"),
        "machine": machine(),
        "packages": packages,
        "codecs": codecs(),
        "disk_free_gib": _gib(shutil.disk_usage(folder).free),
        "memory_free_gib": _gib(psutil.virtual_memory().available),
        "devices": hands,
        "speed": [matrix_speed(device["device"]) for device in hands],
    }
    return {**found, "missing": _missing(found)}


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Installed version of each package, None where it is not there."""
    return {package: _version(package) for package in packages}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def codecs() -> list[dict[str, Any]]:
    """Each permissive decoder: what it decodes, and whether its compiled part loads here."""
    return [
        {"package": package, "version": _version(package), "decodes": decodes, "problem": _load_problem(module)}
        for package, module, decodes in CODECS
    ]


def _load_problem(module: str) -> str:
    """Why a module does not load, "" where it does."""
    try:
        import_module(module)
    except ImportError as error:
        return str(error)
    return ""


def devices() -> list[dict[str, Any]]:
    """What can do the matrix work: every GPU that torch sees, and the processor."""
    if torch is None:
        return []
    found: list[dict[str, Any]] = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found.append({"device": f"cuda:{index}", "name": properties.name, "memory_gib": _gib(properties.total_memory)})
    if torch.backends.mps.is_available():
        found.append({"device": "mps", "name": "Apple GPU", "memory_gib": None})
    cpu = {"device": "cpu", "name": machine()["processor"], "threads": torch.get_num_threads()}
    return [*found, {**cpu, "instructions": torch.backends.cpu.get_cpu_capability()}]


def matrix_speed(device: str, seconds: float = 0.5) -> dict[str, Any]:
    """Measure square matrix products in float32 and bfloat16; the best of several, in GFLOP/s.

    A network's step spends most of its time in such products, so their ratio says whether
    bfloat16 pays on this machine. It is measured because names of processors do not tell.
    """
    size = 1536 if device == "cpu" else 8192
    speeds = {name: _product_gflops(device, getattr(torch, name), size, seconds) for name in ("float32", "bfloat16")}
    ratio = round(speeds["bfloat16"] / speeds["float32"], 2)
    return {"device": device, "size": size, "gflops": {k: round(v, 1) for k, v in speeds.items()}, "bfloat16_over_float32": ratio}


def _product_gflops(device: str, dtype: Any, size: int, seconds: float) -> float:
    left = torch.ones((size, size), dtype=dtype, device=device)
    right = torch.ones((size, size), dtype=dtype, device=device)
    best = float("inf")
    (left @ right).sum().item()  # the first product loads kernels
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        product = left @ right
        product[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best / 1e9


def _missing(found: dict[str, Any]) -> list[dict[str, str]]:
    """What is not there or scarce, and what to do about it."""
    lines = []
    for group, remedy in (("base", "pip install overread"), ("learn", "pip install 'overread[learn]'")):
        absent = [name for name, version in found["packages"][group].items() if version is None]
        if absent:
            what = "to learn and to read with a model" if group == "learn" else "for anything at all"
            lines.append({"what": f"needed {what}: {', '.join(absent)}", "remedy": remedy})
    for codec in found["codecs"]:
        if codec["problem"]:
            what = f"{codec['decodes']} by {codec['package']}: {codec['problem']}"
            lines.append({"what": what, "remedy": f"pip install --force-reinstall {codec['package']}"})
    if found["disk_free_gib"] < LITTLE_DISK_GIB:
        what = f"only {found['disk_free_gib']} GiB of disk are free; prepared images of a CT cohort need several"
        lines.append({"what": what, "remedy": "free some space, or make the project on another disk"})
    if found["memory_free_gib"] < LITTLE_MEMORY_GIB:
        what = f"only {found['memory_free_gib']} GiB of memory are free; 3D training wants more"
        lines.append({"what": what, "remedy": "close other programs, or train with a smaller training.patch"})
    return lines


def _gib(size: int) -> float:
    return round(size / BYTES_PER_GIB, 1)
