"""The audit of phantoms: false alarms where nothing is planted, and each planted fault found or missed.

    python benchmarks/phantom_audit.py
    python benchmarks/phantom_audit.py --seeds 1 --fault-seeds 1 --patients 24

Draws small cohorts of PHANTOM chest films as DICOM, divides their patients at random, and looks for leaks, shortcuts,
marks and differences of acquisition. An alarm is a concern that is a fault or a warning; notes are none. A share of
5 % of clean cohorts may raise one from shortcuts, marks and acquisition together; leaks have no such allowance.
Then one fault at a time is planted, in `--fault-seeds` cohorts each, and it is found where the part of the audit that
is made for it raises the alarm; for leaks the concern must name both exams. A patient under another spelling of one id
(split-patient) is refused by `init` before any audit; here, by pixels alone, other exams of one person are not found.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import WORK, Started, parser, run, say_result, table, write_result
from phantom_cohort import audited_of, planted_pairs

from overread.audit.concern import Concern
from overread.audit.leaks.look import look_for_leaks
from overread.audit.shortcuts.acquisition import look_for_differences
from overread.audit.shortcuts.marks import look_for_marks
from overread.audit.shortcuts.probes import look_for_shortcuts
from overread.audit.shortcuts.targets import targets_of
from overread.audit.sketch import sketches as sketched
from overread.evaluation.intervals.wilson import wilson
from overread.record.files import read_json
from overread.workflow.phantom import phantom

FAULTS: dict[str, frozenset[str]] = {  # fault -> concerns of which one must be raised; none for leaks, whose exams are asked for
    "marker": frozenset({"mark-follows-label", "shortcut-edges"}),
    "site-follows-label": frozenset({"site-follows-label"}),
    "split-patient": frozenset(),
    "renamed-patient": frozenset(),
    "duplicate-studies": frozenset(),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--patients", type=int, default=60)
    options.add_argument("--size", type=int, default=128, help="pixels in each direction of the film")
    options.add_argument("--seeds", type=int, default=20, help="clean cohorts")
    options.add_argument("--fault-seeds", type=int, default=5, help="cohorts for each fault")
    options.add_argument("--out", type=Path, default=WORK / "phantom-audit")
    asked, started = options.parse_args(), Started()
    clean = [audit(asked.out, asked.patients, asked.size, seed, ()) for seed in range(1, asked.seeds + 1)]
    planted = {
        fault: [audit(asked.out, asked.patients, asked.size, 100 + seed, (fault,)) for seed in range(1, asked.fault_seeds + 1)]
        for fault in FAULTS
    }
    figures = {"clean": summary(clean), "planted": {fault: found(runs) for fault, runs in planted.items()}}
    settings = {name: getattr(asked, name) for name in ("patients", "size", "seeds", "fault_seeds")}
    path = write_result("phantom-audit", started, settings=settings, figures=figures, spread={}, notes=["PHANTOM"])
    say_result(path, lines_of(figures))


def audit(out: Path, patients: int, size: int, seed: int, faults: Sequence[str]) -> dict[str, Any]:
    """Draw one cohort, look at it, and throw it away."""
    folder = out / f"{'-'.join(faults) or 'clean'}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    phantom(folder, kind="chest", patients=patients, size=size, seed=seed, faults=faults)
    audited = audited_of(folder, seed)
    looked = sketched(audited)
    targets = targets_of(audited)
    concerns: list[Concern] = list(look_for_leaks(audited, looked))
    for part in (look_for_shortcuts(audited, looked, targets), look_for_marks(audited, looked, targets)):
        concerns += part[0]
    concerns += look_for_differences(audited, targets)[0]
    alarms = [c for c in concerns if c.severity != "note"]
    pairs = planted_pairs(read_json(folder / "phantom.json")["faults"], audited)
    shutil.rmtree(folder)
    named = [set(group) for c in alarms if c.subject == "leak" for group in c.cases]
    return {
        "seed": seed,
        "fault": faults[0] if faults else "",
        "cases": len(audited.cases),
        "alarms": sorted(c.key for c in alarms),
        "leaks": sorted(c.key for c in alarms if c.subject == "leak"),
        "pairs": len(pairs),
        "pairs_named": sum(any(pair <= group for group in named) for pair in pairs),
    }


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    alarmed = [r for r in runs if set(r["alarms"]) - set(r["leaks"])]
    low, high = wilson(len(alarmed), len(runs)) if runs else (None, None)
    return {
        "cohorts": len(runs),
        "with_alarm": len(alarmed),
        "share_95": [low, high],
        "with_leak_alarm": sum(bool(r["leaks"]) for r in runs),
        "alarms": dict(Counter(key for r in runs for key in r["alarms"])),
        "runs": list(runs),
    }


def found(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """In how many cohorts the fault was found; of leaks also how many pairs were named."""
    hits = [bool(FAULTS[r["fault"]] & set(r["alarms"])) if FAULTS[r["fault"]] else r["pairs_named"] > 0 for r in runs]
    pairs = {name: sum(r[name] for r in runs) for name in ("pairs", "pairs_named")}
    return {"cohorts": len(runs), "found": sum(hits), **pairs, "runs": list(runs)}


def lines_of(figures: dict[str, Any]) -> list[str]:
    clean = figures["clean"]
    told = ", ".join(f"{key} {n}" for key, n in clean["alarms"].items()) or "none"
    lines = [
        f"PHANTOM, clean: {clean['with_alarm']} of {clean['cohorts']} cohorts with a false alarm of shortcut, mark or "
        f"acquisition; {clean['with_leak_alarm']} with one of a leak. Alarms: {told}",
        "",
    ]
    rows = [
        [fault, f"{f['found']} of {f['cohorts']}", f"{f['pairs_named']} of {f['pairs']}" if f["pairs"] else "-"]
        for fault, f in figures["planted"].items()
    ]
    return lines + table(["planted fault", "cohorts in which it was found", "pairs named"], rows)


if __name__ == "__main__":
    run(main)
