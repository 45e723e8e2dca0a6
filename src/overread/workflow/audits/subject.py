"""What `overread audit` looks at: a project, or a folder that nobody has made a project of yet."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from overread.audit.audited import Audited, AuditedCase
from overread.audit.leaks.elsewhere import Elsewhere
from overread.cohort.draft import Draft, Step
from overread.cohort.folders import headers_path, scan_images
from overread.cohort.gather import Gathered, Images, gather, gather_images
from overread.cohort.given import Given, given_split
from overread.cohort.identity import Link, cohort_key, pseudonyms, read_key, read_links
from overread.cohort.index import Cohort, places_of, read_index, read_splits
from overread.cohort.inspect import Seen, inspect_cases
from overread.cohort.load import class_of_value, load_truth, open_case_objects
from overread.cohort.made import ORIGINS
from overread.cohort.partition import class_counts
from overread.cohort.progress import Progress
from overread.cohort.request import Request
from overread.cohort.seal import read_summary, truth_digest
from overread.cohort.usable import keep_usable
from overread.core.case import Case, ImageReference, TruthReference
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Kind
from overread.workflow.audits.elsewhere import elsewhere_of, names_elsewhere
from overread.workflow.audits.opening import open_case
from overread.workflow.project import Project

ACQUISITION = (
    "modality", "body_part", "vendor", "model", "kernel", "thickness_mm", "kvp", "field_strength_t", "echo_time_ms",
    "repetition_time_ms", "contrast", "view", "laterality", "burned_in", "plane", "protocol",
)  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """What is audited, and what its cases are called by their owner.

    names     case_id -> what the user calls it; for the terminal and the private table, never for the page
    patients  case_id -> the patient as the files or the sheet have it; private as the names
    left_out  reason -> how many images could not be taken in
    notes     how images, truth and split were understood; for the terminal
    elsewhere external cohorts of a project
    """

    audited: Audited
    names: Mapping[str, str]
    patients: Mapping[str, str]
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    elsewhere: Sequence[Elsewhere] = ()


def of_project(project: Project, progress: Progress | None = None) -> Subject:
    """The cases of a project. Truths of the internal test, or of the first fold, stay under seal."""
    folds = project.folds
    cohort = project.cohort(folds[0] if folds else None)
    splits = read_splits(project.path)
    place = {c: f"fold-{p}" if isinstance(p, int) else p for c, p in places_of(splits).items()}
    parts = read_summary(project.path)["parts"]
    truths = {case_id: digest for part in parts.values() for case_id, digest in part["digests"].items()}
    pixels = {row.case.case_id: row.digest for row in read_index(project.path)}
    told, key = _headers_of(project, progress), read_key(project.path)
    links = {link.case_id: link for link in read_links(project.path)}
    cases = tuple(
        _case(
            _named_or_itself(case, links[case.case_id]),
            place[case.case_id],
            cohort.grids[case.case_id],
            told.get(_place_of(case.images[0]), {}),
            key,
            digest=pixels[case.case_id],
            truth_digest=truths.get(case.case_id, ""),
        )
        for case in cohort.cases
    )
    audited = _audited(
        cases,
        cohort,
        {part: _counts(values["classes"]) for part, values in parts.items()},
        patients_known=project.settings.cohort.group_by is not None or splits["grouped_by"] == "patient",
    )
    names = {c: link.original_name for c, link in links.items()} | names_elsewhere(project)
    patients = {c: link.original_patient for c, link in links.items()}
    return Subject(audited, names, patients, elsewhere=elsewhere_of(project))


def of_folder(request: Request, splits: str | Path | None, progress: Progress | None = None) -> Subject:
    """The images of a folder, with truth where it is given or lies beside them, and the split that came with them.

    Cases of a test part keep their truth to themselves, as they would in a project.
    """
    request = replace(request, faulty="leave out")
    images = gather_images(request, progress)
    if _has_truth(request, images):
        gathered = gather(request, progress, images.scanned)
        return _of_gathered(gathered, given_split(splits, gathered))
    seen = inspect_cases(images.drafts, {}, images.folder, None, gaps=request.gaps, tilt=request.tilt, progress=progress)
    drafts, good, steps = keep_usable(images.drafts, seen, images.steps, "leave out")
    given = given_split(splits, replace(images, drafts=tuple(drafts)))
    notes = ["no truth was given: labels and ways to guess them are not looked at (--truth, or --label with --sheet)"]
    return _of_images(replace(images, drafts=tuple(drafts)), good, steps, given, request, notes)


def _has_truth(request: Request, images: Images) -> bool:
    brought = images.layout.truth_files or any(draft.label for draft in images.drafts)
    return bool(request.truth or request.said.labels or request.said.task or brought)


def _of_gathered(gathered: Gathered, given: Given | None) -> Subject:
    named = _Named.of(gathered.drafts, gathered.seen)
    place = _places(given, len(gathered.drafts))
    truths = [gathered.truths[d.name] for d in gathered.drafts]
    counts = {
        part: _counts(
            class_counts(
                gathered.question,
                [t for t, p in zip(truths, place, strict=True) if p == part],
                [s.voxels for s, p in zip(gathered.seen, place, strict=True) if p == part],
            )
        )
        for part in sorted(set(place))
    }
    kept = [None if p == "internal" else t for t, p in zip(truths, place, strict=True)]
    cohort = Cohort(
        gathered.images_folder,
        gathered.images_folder,
        gathered.truth_folder,
        gathered.question,
        tuple(named.case(k, d, t, s.made) for k, (d, t, s) in enumerate(zip(gathered.drafts, kept, gathered.seen, strict=True))),
        {named.cases[k]: p for k, p in enumerate(place)},
        gathered.is_phantom,
        "",
        {named.cases[k]: s.grid for k, s in enumerate(gathered.seen) if s.grid is not None},
    )
    digests = [truth_digest(named.key, s.digest, t, s.content) for s, t in zip(gathered.seen, truths, strict=True)]
    cases = tuple(
        _case(case, p, s.grid, d.attributes, named.key, digest=s.digest, truth_digest=digest)
        for case, p, s, d, digest in zip(cohort.cases, place, gathered.seen, gathered.drafts, digests, strict=True)
    )
    audited = _audited(cases, cohort, counts, patients_known=gathered.patient_known)
    notes = (*gathered.matched, *gathered.unknown, *gathered.notes, *_split_note(given))
    return Subject(audited, *named.originals(gathered.drafts), _left_out(gathered.steps), notes)


def _of_images(
    images: Images, seen: Sequence[Seen], steps: Sequence[Step], given: Given | None, request: Request, notes: Sequence[str]
) -> Subject:
    named = _Named.of(images.drafts, seen)
    place = _places(given, len(images.drafts))
    cases = tuple(
        _case(named.case(k, d, None, s.made), place[k], s.grid, d.attributes, named.key, digest=s.digest)
        for k, (d, s) in enumerate(zip(images.drafts, seen, strict=True))
    )
    references = {named.cases[k]: d.images for k, d in enumerate(images.drafts)}
    audited = Audited(
        cases,
        partial(open_case, references, images.folder, request.gaps, request.tilt),
        patients_known=any(d.patient for d in images.drafts),
        is_phantom=bool(seen) and all(s.is_simulated for s in seen),
    )
    return Subject(audited, *named.originals(images.drafts), _left_out(steps), (*notes, *_split_note(given)))


@dataclass(frozen=True)
class _Named:
    """Pseudonyms of drafts, one per draft in order."""

    key: bytes
    cases: tuple[str, ...]
    patients: tuple[str, ...]

    @classmethod
    def of(cls, drafts: Sequence[Draft], seen: Sequence[Seen]) -> _Named:
        key = cohort_key(s.digest for s in seen)
        cases = pseudonyms("case", (d.name for d in drafts), key)
        named = [d.patient if d.patient != d.name else None for d in drafts]  # an image stands in where nothing names one
        people = pseudonyms("patient", (person for person in named if person), key)
        patients = (people[person] if person else cases[d.name] for d, person in zip(drafts, named, strict=True))
        return cls(key, tuple(cases[d.name] for d in drafts), tuple(patients))

    def case(self, k: int, draft: Draft, truth: TruthReference | None, made: str = "") -> Case:
        covariates = {**draft.covariates, **({"side": draft.side} if draft.side else {})}
        origin = ORIGINS.get(made, "acquired")
        return Case(
            self.cases[k], self.patients[k], "", draft.images, truth, draft.site, draft.scanner, covariates, origin
        )  # fmt: skip

    def originals(self, drafts: Sequence[Draft]) -> tuple[dict[str, str], dict[str, str]]:
        names = {c: d.name for c, d in zip(self.cases, drafts, strict=True)}
        return names, {c: d.patient or d.name for c, d in zip(self.cases, drafts, strict=True)}


def _audited(
    cases: tuple[AuditedCase, ...], cohort: Cohort, counts: Mapping[str, Mapping[str, int]], *, patients_known: bool
) -> Audited:
    references = {case.case_id: case.images for case in cohort.cases}
    if cohort.question.is_of_objects:
        shown = {case.case_id: _present(cohort, case) for case in cohort.cases if case.truth is not None}
        cases = tuple(replace(case, truth=shown.get(case.case_id)) for case in cases)
    return Audited(
        cases,
        partial(open_case, references, cohort.images_folder, cohort.gaps, cohort.tilt),
        cohort.question,
        patients_known,
        partial(_open_truth, cohort) if cohort.question.task == "segmentation" else None,
        counts,
        cohort.is_phantom,
        partial(_open_boxes, cohort) if cohort.question.is_of_objects else None,
    )


def _present(cohort: Cohort, case: Case) -> dict[str, float | None] | None:
    """Class -> 1 where the case has any object of it, else 0; None where its truth does not open."""
    try:
        found = open_case_objects(cohort, case).counts()
    except OverreadError:
        return None
    return {name: float(value in found) for value, name in class_of_value(cohort.question).items()}


def _case(
    case: Case,
    place: str,
    grid: Grid | None,
    told: Mapping[str, Any],
    key: bytes,
    *,
    digest: str,
    truth_digest: str = "",
) -> AuditedCase:
    """told  what the headers say; identifiers in it leave as keyed digests."""
    acquisition = {name: told[name] for name in ACQUISITION if told.get(name) not in (None, "")}
    if grid is not None:
        acquisition |= {"slices": grid.shape[0], "rows": grid.shape[1], "columns": grid.shape[2]}
        if grid.spacing_known:
            acquisition |= {f"spacing_{axis}_mm": round(float(mm), 4) for axis, mm in zip("zyx", grid.spacing, strict=True)}
    identifiers = {
        name: hmac.new(key, f"{name}|{told[name]}".encode(), "sha256").hexdigest()[:32]
        for name in ("study", "series", "accession", "frame_of_reference")
        if told.get(name)
    }
    values = dict(case.truth.values) if case.truth is not None and case.truth.format == "value" else None
    return AuditedCase(
        case.case_id,
        case.patient_id,
        place,
        values,
        case.truth is None and bool(truth_digest),
        truth_digest,
        digest,
        identifiers,
        acquisition,
        case.covariates,
        case.site,
        case.scanner,
        case.is_made,
    )


def _headers_of(project: Project, progress: Progress | None) -> dict[tuple[str, int | None], dict[str, Any]]:
    """(first file, row) of an image -> what its header says, from the headers that the project remembers."""
    images = project.settings.images
    scanned = scan_images(project.images_folder, images.gaps, images.tilt, progress, headers_path(project.path))
    return {
        (item.files[0], item.index): {**item.attributes, "study": item.study, "series": item.series}
        for item in scanned.found
        if item.files
    }


def _named_or_itself(case: Case, link: Link) -> Case:
    """A case whose patient nothing names stands for itself."""
    return replace(case, patient_id=case.case_id) if link.original_patient == link.original_name else case


def _place_of(reference: ImageReference) -> tuple[str, int | None]:
    return (reference.files[0] if reference.files else "", reference.index)


def _open_truth(cohort: Cohort, case_id: str) -> Kind:
    return load_truth(cohort, cohort.case(case_id))


def _open_boxes(cohort: Cohort, case_id: str) -> Boxes:
    return open_case_objects(cohort, cohort.case(case_id)).boxes(class_of_value(cohort.question))


def _places(given: Given | None, count: int) -> list[str]:
    if given is None:
        return [""] * count
    words = {k: f"fold-{p}" if isinstance(p, int) else str(p) for k, p in given.place.items()}
    return [words.get(k, "") for k in range(count)]


def _split_note(given: Given | None) -> tuple[str, ...]:
    if given is None:
        return ("no split was given (--splits), so nothing was looked for between parts of one",)
    return (f"the split is {given.source}",)


def _counts(classes: Mapping[str, Any]) -> dict[str, int]:
    """Class -> number of cases; of numbers, how many are known."""
    return {str(name): int(count["known"] if isinstance(count, Mapping) else count) for name, count in classes.items()}


def _left_out(steps: Sequence[Step]) -> dict[str, int]:
    return dict(Counter(item.reason for step in steps for item in step.left_out))
