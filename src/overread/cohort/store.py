"""A divided cohort on disk: pseudonyms, index, seal, splits, data flow, version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from overread.cohort.check import FileVersion, record_files, write_files
from overread.cohort.divide import made_step, refuse_placed
from overread.cohort.draft import Draft, Step
from overread.cohort.gather import Gathered
from overread.cohort.identity import Link, cohort_key, pseudonyms, write_key, write_links
from overread.cohort.index import Indexed, splits_path, versions, versions_path, write_index, write_splits
from overread.cohort.inspect import Seen
from overread.cohort.made import ORIGINS
from overread.cohort.partition import Division, class_counts
from overread.cohort.progress import Progress
from overread.cohort.seal import seal, truth_digest
from overread.core.case import Case
from overread.imaging.archive import file_of
from overread.record.files import digest_json, read_json, write_json, write_text


@dataclass(frozen=True)
class Known:
    """What earlier versions gave out; empty for a new cohort.

    links    every case that ever was; one that is gone keeps its pseudonym and its partition, should it come back
    place    case_id -> partition or fold, of all these
    digests  case_id -> (digest of its image, digest of its truth) in the last version
    """

    key: bytes | None = None
    links: Sequence[Link] = ()
    place: Mapping[str, str | int] = field(default_factory=dict)
    digests: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    files: Sequence[FileVersion] = ()


@dataclass(frozen=True)
class Stored:
    """What was written: the pseudonym of each draft, what differs from the last version, the version's line."""

    case_ids: Mapping[str, str]
    changed: Mapping[str, Any]
    version: Mapping[str, Any]


def store(
    project_dir: Path,
    gathered: Gathered,
    division: Division,
    seed: int,
    *,
    known: Known | None = None,
    reason: str = "init",
    changed: Mapping[str, Any] | None = None,
    steps: Sequence[Step] = (),
    progress: Progress | None = None,
) -> Stored:
    """Write a version of the cohort into `project_dir`/cohort."""
    refuse_placed(gathered, division)
    known = known or Known()
    rows = [(d, s, p) for d, s, p in zip(gathered.drafts, gathered.seen, division.place, strict=True) if p is not None]
    drafts = [d for d, _, _ in rows]
    named = (
        dict(zip((d.name for d in gathered.drafts), gathered.column(gathered.joined.column), strict=True))
        if gathered.joined
        else {}
    )
    key = known.key or cohort_key(s.digest for _, s, _ in rows)
    ids = pseudonyms("case", (d.name for d in drafts), key, {x.original_name: x.case_id for x in known.links})
    patients = pseudonyms(
        "patient", (d.patient or d.name for d in drafts), key, {x.original_patient: x.patient_id for x in known.links}
    )
    exams = pseudonyms("exam", (_exam(d) for d in drafts), key, {x.original_exam: x.exam_id for x in known.links})
    write_key(project_dir, key)
    present = {d.name for d in drafts}
    retired = [x for x in known.links if x.original_name not in present]
    write_links(project_dir, [*(_link(d, ids, patients, exams, named.get(d.name) or "") for d in drafts), *retired])
    write_index(project_dir, [_indexed(d, s, ids, patients, exams, gathered.is_phantom) for d, s, _ in rows])
    truths = {ids[d.name]: gathered.truths[d.name] for d in drafts}
    digests = {ids[d.name]: truth_digest(key, s.digest, gathered.truths[d.name], s.content) for d, s, _ in rows}
    seals = {ids[d.name]: s for d, s in zip(gathered.drafts, division.seals(), strict=True) if s is not None}
    seal(project_dir, truths, seals, _summary(gathered, rows, seals, ids, digests))
    _write_splits(project_dir, division, gathered, ids, seed, {x.case_id: known.place[x.case_id] for x in retired})
    flow = made_step(gathered, division, (*gathered.steps, *steps))
    write_json(project_dir / "cohort" / "flow.json", [step.as_dict() for step in flow])
    roots = {"images": gathered.images_folder, "truth": gathered.truth_folder or gathered.images_folder}
    places = {("images", file_of(roots["images"], f)) for d in drafts for i in d.images for f in i.files}
    places |= {("truth", file_of(roots["truth"], f)) for t in truths.values() for f in t.files}
    if gathered.joined is not None:
        sheet = gathered.joined.sheet.path
        roots["sheet"] = sheet.resolve().parent
        places.add(("sheet", sheet.name))
    write_files(project_dir, record_files(places, roots, progress, known.files))
    images = {ids[d.name]: s.digest for d, s, _ in rows}
    differs = {**(changed or {}), **(_differences(known.digests, images, digests) if known.digests else {})}
    version = _version(project_dir, rows, ids, patients, digests, seals, reason, differs)
    return Stored({d.name: ids[d.name] for d in drafts}, differs, version)


def _differences(
    before: Mapping[str, tuple[str, str]], images: Mapping[str, str], truths: Mapping[str, str]
) -> dict[str, list[str]]:
    """Which cases have other pixels or another truth than before, by pseudonym."""
    pixels = sorted(c for c, digest in images.items() if c in before and before[c][0] != digest)
    corrected = sorted(c for c, digest in truths.items() if c in before and before[c][1] != digest and c not in pixels)
    return {"changed_images": pixels, "corrected_truths": corrected}


def _exam(draft: Draft) -> str:
    return f"{draft.patient or draft.name}|{draft.exam_name}"


def _link(draft: Draft, ids: Mapping[str, str], patients: Mapping[str, str], exams: Mapping[str, str], row: str) -> Link:
    patient = draft.patient or draft.name
    files = "|".join(f if i.index is None else f"{f}[{i.index}]" for i in draft.images for f in i.files[:1])
    return Link(ids[draft.name], patients[patient], exams[_exam(draft)], draft.name, patient, _exam(draft), row, files)


def _indexed(
    draft: Draft, seen: Seen, ids: Mapping[str, str], patients: Mapping[str, str], exams: Mapping[str, str], phantom: bool
) -> Indexed:
    assert seen.grid is not None
    covariates = {**draft.covariates, **({"side": draft.side} if draft.side else {})}
    case = Case(
        ids[draft.name],
        patients[draft.patient or draft.name],
        exams[_exam(draft)],
        draft.images,
        site=draft.site,
        scanner=draft.scanner,
        covariates=covariates,
        origin=ORIGINS.get(seen.made, "simulated" if phantom else "acquired"),
    )
    return Indexed(case, seen.digest, seen.grid)


def _summary(
    gathered: Gathered,
    rows: Sequence[tuple[Draft, Seen, Any]],
    seals: Mapping[str, str],
    ids: Mapping[str, str],
    digests: Mapping[str, str],
) -> dict[str, Any]:
    """Class counts per partition or fold and a digest per truth: what may be read without opening."""
    parts: dict[str, Any] = {}
    for part in sorted(set(seals.values())):
        members = [(d, s) for d, s, _ in rows if seals[ids[d.name]] == part]
        parts[part] = {
            "cases": len(members),
            "patients": len({d.patient for d, s in members if not s.made}),
            "classes": class_counts(
                gathered.question, [gathered.truths[d.name] for d, _ in members], [s.voxels for _, s in members]
            ),
            "digests": {ids[d.name]: digests[ids[d.name]] for d, _ in sorted(members, key=lambda m: ids[m[0].name])},
        }
    return {"format": 1, "parts": parts}


def _write_splits(
    project_dir: Path,
    division: Division,
    gathered: Gathered,
    ids: Mapping[str, str],
    seed: int,
    retired: Mapping[str, str | int],
) -> None:
    names = [d.name for d in gathered.drafts]
    trains = {ids[names[k]]: list(folds) for k, folds in division.trains.items()}
    place = {ids[n]: p for n, p in zip(names, division.place, strict=True) if p is not None and ids[n] not in trains}
    body: dict[str, Any] = {
        "format": 1,
        "scheme": division.scheme,
        "seed": seed,
        "grouped_by": "patient" if gathered.patient_known else "image (no patient known)",
        "stratified_by": division.stratified_by,
        **({"rule": dict(division.rule)} if division.rule else {}),
    }
    if division.scheme == "folds":
        group = {ids[n]: g for n, g in zip(names, division.groups, strict=True) if ids.get(n) in place}
        body["fold"] = dict(sorted(place.items()))
        body["tuning"] = {
            str(fold): sorted(c for c, g in group.items() if g in set(groups) and place[c] != fold)
            for fold, groups in division.tuning.items()
        }
        body |= {"training_only": dict(sorted(trains.items()))} if trains else {}
    else:
        body["partition"] = dict(sorted(place.items()))
    if retired:
        body["retired"] = dict(sorted(retired.items()))
    write_splits(project_dir, body)


def _version(
    project_dir: Path,
    rows: Sequence[tuple[Draft, Seen, Any]],
    ids: Mapping[str, str],
    patients: Mapping[str, str],
    digests: Mapping[str, str],
    seals: Mapping[str, str],
    reason: str,
    changed: Mapping[str, Any],
) -> dict[str, Any]:
    path = versions_path(project_dir)
    before = versions(project_dir) if path.exists() else []
    content = [[ids[d.name], s.digest, digests[ids[d.name]], seals[ids[d.name]]] for d, s, _ in rows]
    line = {
        "version": len(before) + 1,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "reason": reason,
        "digest": digest_json(sorted(content)),
        "splits": read_json(splits_path(project_dir))["hash"],
        "cases": len(rows),
        "patients": len({patients[d.patient or d.name] for d, s, _ in rows if not s.made}),
        "changed": dict(changed),
    }
    if before and all(line[key] == before[-1][key] for key in ("digest", "splits")):
        return before[-1]  # the same images, truths and partitions are the same version
    write_text(path, "".join(json.dumps(v, ensure_ascii=False) + "\n" for v in (*before, line)))
    return line
