"""overread doctor"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overread.cli.verb import Outcome, Verb


@click.command(cls=Verb, example="overread doctor\noverread doctor --json > machine.json")
@click.argument("folder", metavar="[FOLDER]", default=".", type=click.Path(exists=True, path_type=Path))
def doctor(folder: Path) -> Outcome:
    """Look at this machine: what is installed, how fast it is, what is missing.

    Measures the speed of matrix products in float32 and bfloat16, tries each DICOM decoder,
    and looks at the memory and at the disk of FOLDER (here, where none is given).
    Nothing is sent anywhere.
    """
    from overread.workflow.doctor import doctor as examine

    found = examine(folder)
    lines = [*_machine(found), "", *_packages(found), "", *_codecs(found), "", *_speed(found), "", *_missing(found)]
    absent = {"base": "pip install overread", "learn": "pip install 'overread[learn]'"}
    todo = [absent[group] for group in absent if None in found["packages"][group].values()]
    return Outcome("\n".join(lines), found, todo[0] if todo else "overread demo")


def _machine(found: dict[str, Any]) -> list[str]:
    machine = found["machine"]
    return [
        f"Overread {found['overread']}, Python {machine['python']}, {machine['system']}",
        f"{machine['processor']}, {machine['cores']} cores to use, {machine['memory_gib']} GiB of memory"
        f" ({found['memory_free_gib']} free), {found['disk_free_gib']} GiB of disk free",
    ]


def _packages(found: dict[str, Any]) -> list[str]:
    titles = {"base": "To look, split, score and report", "learn": "To learn and to read"}
    lines = []
    for group, title in titles.items():
        listed = ", ".join(f"{name} {version or 'MISSING'}" for name, version in found["packages"][group].items())
        lines.append(f"{title}: {listed}")
    return lines


def _codecs(found: dict[str, Any]) -> list[str]:
    lines = ["DICOM decoders:"]
    for codec in found["codecs"]:
        state = codec["problem"] or f"works ({codec['version']})"
        lines.append(f"  {codec['package']:<20} {codec['decodes']:<50} {state}")
    return lines


def _speed(found: dict[str, Any]) -> list[str]:
    if not found["devices"]:
        return ["Devices: not looked at, torch is not installed."]
    lines = ["Devices:"]
    for device, speed in zip(found["devices"], found["speed"], strict=True):
        gflops = speed["gflops"]
        lines.append(f"  {device['device']:<8} {device['name']}")
        lines.append(
            f"           matrix products: float32 {gflops['float32']:.0f} GFLOP/s, bfloat16 {gflops['bfloat16']:.0f} GFLOP/s"
            f" ({speed['bfloat16_over_float32']:.1f} times)"
        )
    best = found["speed"][0]["bfloat16_over_float32"]
    lines.append(f"  bfloat16 {'pays' if best > 1.1 else 'does not pay'} on {found['devices'][0]['device']}.")
    return lines


def _missing(found: dict[str, Any]) -> list[str]:
    if not found["missing"]:
        return ["Nothing is missing."]
    return ["Missing or scarce:", *(f"  {line['what']}\n    {line['remedy']}" for line in found["missing"])]
