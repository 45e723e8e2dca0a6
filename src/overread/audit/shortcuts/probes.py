"""Shortcuts: can a small model tell the label, the site or the scanner without looking at the anatomy?

    metadata      headers and columns of the sheet
    edges         borders and corners of the image
    background    what lies around the patient
    intensities   statistics over the whole image
    geometry      size, spacing and storage of the image

Rule for an alarm about a label: the area under the ROC curve, out of fold, is at least `LEAST_AREA`, and so large a
one, from any of the five, is seen in less than the stated share of clean cohorts (`overread.audit.shortcuts.chance`).
That an image shows its site or scanner is expected, and no alarm: it matters where the site goes with the label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from overread.audit.audited import Audited, AuditedCase
from overread.audit.concern import Concern, several
from overread.audit.shortcuts.chance import (
    ALARMS,
    FEWEST_PATIENTS,
    drawn,
    exchanged,
    family_wise,
    patients_per_level,
    permutations_for,
    standardised,
)
from overread.audit.shortcuts.probe_concerns import concerns_of, unsaid
from overread.audit.shortcuts.probe_features import PROBES, Looked
from overread.audit.shortcuts.probe_model import area_with_interval, deal, mean_areas, narrowed
from overread.audit.shortcuts.probed import Probed
from overread.audit.shortcuts.site_concerns import site_concerns
from overread.audit.shortcuts.targets import Target, targets_of
from overread.audit.sketch import Sketch
from overread.cohort.progress import Progress
from overread.evaluation.intervals.patients import Patients

LEAST_AREA = 0.6
SITE_LEVEL = 0.05  # of what is told of site and scanner, which raises no alarm
METHOD = (
    "ridge regression of the label on standardised features (principal components where they are many), 5 folds by patient; "
    "mean area under the ROC curve of the folds; p by permuting patients, max-T over the probes of a target"
)


def look_for_shortcuts(
    audited: Audited,
    sketches: Mapping[str, Sketch],
    targets: Sequence[Target] | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[list[Concern], dict[str, Any]]:
    """Probe each target from each side.

    targets  as `targets_of` finds them, where that was done before
    returns  concerns, and the table: {"rows": one per target and probe, "method", "level", "least_area"}
    """
    wanted = targets_of(audited, progress) if targets is None else list(targets)
    labels = sum(target.kind == "label" for target in wanted)
    if progress is not None:
        progress.start(len(wanted), "Probing for shortcuts")
    probed: list[Probed] = []
    for place, target in enumerate(wanted):
        level = ALARMS["probes"] / max(labels, 1) if target.kind == "label" else SITE_LEVEL
        probed += _probe(audited, sketches, target, level, np.random.default_rng([seed, place]))
        if progress is not None:
            progress.advance(note=target.name)
    if progress is not None:
        progress.finish()
    concerns = [
        *concerns_of(audited, probed),
        *site_concerns(audited, wanted, probed, np.random.default_rng([seed, len(wanted)])),
    ]
    table = {"rows": [p.as_dict() for p in probed], "method": METHOD, "level": ALARMS["probes"], "least_area": LEAST_AREA}
    return [*concerns, *unsaid(audited, probed)], table


def _probe(
    audited: Audited, sketches: Mapping[str, Sketch], target: Target, level: float, random: np.random.Generator
) -> list[Probed]:
    """All probes of one target, on the same permutations."""
    cases, codes, levels, reason = _usable(audited, sketches, target, random)
    blank = partial(Probed, target.name, target.kind, levels, tuple(name for name in target.levels if name not in levels))
    if reason:
        return [blank(probe, reason=reason) for probe in PROBES]
    patients = Patients.of([case.patient_id for case in cases])
    fold = deal(codes, patients, random)
    looked = {name: probe(cases, sketches, target.kind) for name, probe in PROBES.items()}
    features = {name: narrowed(found.features, patients.count) for name, found in looked.items() if not found.nothing}
    by_chance = codes[exchanged(patients, permutations_for(level), random)]
    p, noticed = _against_chance(features, np.vstack([codes[None], by_chance]), fold, level)
    rows = []
    for name, found in looked.items():
        if found.nothing:
            rows.append(blank(name, reason=found.nothing))
            continue
        interval = area_with_interval(features[name], codes, fold, patients)
        tells = p[name] <= level and (interval.estimate or 0.0) >= LEAST_AREA
        rows.append(blank(name, interval, p[name], noticed[name], tells, _strongest(found, codes)))
    return rows


def _against_chance(
    features: Mapping[str, np.ndarray], codes: np.ndarray, fold: np.ndarray, level: float
) -> tuple[dict[str, float], dict[str, float]]:
    """By probe: the family-wise p value, and the least area that would have been noticed.

    codes  (1 + B, N): the codes as they are, then as chance handed them out
    """
    if not features:
        return {}, {}
    values = np.stack([mean_areas(looked, codes, fold) for looked in features.values()], axis=1)
    observed, chance = standardised(values[0], values[1:])
    reach = np.nanmean(values[1:], 0) + np.quantile(chance.max(axis=1), 1 - level) * np.nanstd(values[1:], 0)
    least = np.clip(reach, LEAST_AREA, 1.0)
    p = family_wise(observed, chance)
    return dict(zip(features, p.tolist(), strict=True)), dict(zip(features, least.tolist(), strict=True))


def _usable(
    audited: Audited, sketches: Mapping[str, Sketch], target: Target, random: np.random.Generator
) -> tuple[list[AuditedCase], np.ndarray, tuple[str, ...], str]:
    """Cases, codes and levels that can be probed, or why none can; levels of few patients are left out.

    Labels are known of cases that are not sealed alone; site and scanner are no secret.
    """
    cases = drawn([case for case in target.known(audited.cases) if case.case_id in sketches], random)
    if not cases:
        return [], np.empty(0, int), (), "no case whose image opens has it"
    codes = target.of(cases)
    counts = patients_per_level(codes, Patients.of([c.patient_id for c in cases]), len(target.levels))
    kept = [k for k, n in enumerate(counts) if n >= FEWEST_PATIENTS]
    if len(kept) < 2:
        told = several([f"{level}: {n}" for level, n in zip(target.levels, counts, strict=True)])
        return [], codes, (), f"too few to say: patients by group are {told}; {FEWEST_PATIENTS} in each of two are the least"
    place = {k: number for number, k in enumerate(kept)}
    used = [(case, place[k]) for case, k in zip(cases, codes, strict=True) if k in place]
    return [c for c, _ in used], np.array([k for _, k in used]), tuple(target.levels[k] for k in kept), ""


def _strongest(looked: Looked, codes: np.ndarray) -> tuple[str, ...]:
    """The three columns that go most with the levels, each by the share of its variance that lies between levels."""
    if not looked.columns:
        return ()
    centred = looked.features - looked.features.mean(0)
    between = sum((codes == k).sum() * centred[codes == k].mean(0) ** 2 for k in range(int(codes.max()) + 1))
    share = between / np.maximum((centred**2).sum(0), 1e-12)
    order = [looked.columns[k] for k in np.argsort(-share, kind="stable")]
    return tuple(dict.fromkeys(order))[:3]
