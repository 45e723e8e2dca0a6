"""What a run was made with: versions, processor, operating system; never a host name, user or path."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from overread.record.workers import processors

PACKAGES = (
    "overread", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "torch", "torchvision", "timm", "monai",
    "lightning-fabric", "pydicom", "highdicom", "nibabel", "scikit-image", "safetensors", "pydantic",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Installed versions of the packages that can change a result."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Processor, cores, memory and operating system."""
    return {
        "processor": _processor(),
        "cores": processors(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return None
