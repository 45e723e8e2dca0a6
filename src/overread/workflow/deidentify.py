"""`overread deidentify`: a copy of a folder without what identifies people, after DICOM PS3.15 Annex E.

Everything is written beside the output and renamed at the end; originals are not touched. What cannot be
de-identified is not copied. The result needs review until a person confirms it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import Any

from overread.cohort.progress import Progress, counted
from overread.core.errors import OverreadError, Refused
from overread.imaging.deidentify.one_file import deidentify_file
from overread.imaging.deidentify.profile import Profile
from overread.imaging.deidentify.regions import read_rules
from overread.imaging.deidentify.settings import Done, NotWritten, Settings
from overread.imaging.deidentify.table import EDITION
from overread.imaging.walk import Walk
from overread.record.files import read_json, write_json
from overread.record.workers import begin_as_worker, processors
from overread.workflow.deidentification.link import LinkTable, read_link, write_link
from overread.workflow.deidentification.places import check_places
from overread.workflow.deidentification.review import Review
from overread.workflow.deidentification.sheet import SheetResult, write_sheet

LOG = "deidentification.json"
REVIEW = "review"
SHEET = "sheet.csv"
NEEDS_REVIEW, REVIEWED = "needs review", "reviewed"
PARALLEL_FROM = 100  # files; below, starting processes costs more than it saves
MOST_PROCESSES = 8
AHEAD = 16  # files per process that wait
NAMED = 10  # files named on the terminal


@dataclass(frozen=True)
class DeidentifySummary:
    """What was done.

    left_out   files that were not copied: (path in the input, code, reason)
    log        counts by attribute and action; no value
    faces      series of a head, in which a face remains
    """

    folder: Path
    link: Path | None
    profile: Profile
    files: int
    patients: int
    studies: int
    series: int
    left_out: tuple[tuple[str, str, str], ...]
    log: dict[str, dict[str, int]]
    images_listed: int
    images: int
    faces: int
    masked: int
    sheet: SheetResult | None = None
    status: str = NEEDS_REVIEW
    notes: tuple[str, ...] = field(default=())

    @property
    def review(self) -> Path:
        return self.folder / REVIEW / "review.html"

    def as_log(self) -> dict[str, Any]:
        """What may travel with the output: counts, no original name and no value."""
        codes = Counter(code for _, code, _ in self.left_out)
        return {
            "format": 1,
            "status": self.status,
            "profile": {"standard": f"DICOM PS3.15 {EDITION} Annex E", "codes": [list(code) for code in self.profile.codes()]},
            "dates": self.profile.dates,
            "files": self.files,
            "patients": self.patients,
            "studies": self.studies,
            "series": self.series,
            "left_out": dict(sorted(codes.items())),
            "images": self.images,
            "images_listed_for_review": self.images_listed,
            "images_masked": self.masked,
            "series_with_a_face": self.faces,
            "attributes": self.log,
        }

    def as_dict(self) -> dict[str, Any]:
        """For programs on this machine; the files that were left out are named here."""
        named = [{"file": file, "code": code, "reason": reason} for file, code, reason in self.left_out]
        sheet = None if self.sheet is None else dict(self.sheet.__dict__)
        places = {"folder": str(self.folder), "review": str(self.review), "link": str(self.link) if self.link else None}
        return {**places, **self.as_log(), "left_out": named, "sheet": sheet, "notes": list(self.notes)}

    def __str__(self) -> str:
        counts: Counter[str] = Counter()
        for actions in self.log.values():
            counts.update(actions)
        options = ", ".join(meaning for _, meaning in self.profile.codes()[1:]) or "no option"
        lines = [
            f"{self.files} files of {self.patients} patients, {self.studies} studies, {self.series} series in {self.folder}",
            f"  profile: DICOM PS3.15 {EDITION} Annex E, basic; {options}",
            "  attributes: " + ", ".join(f"{n:,} {action}" for action, n in counts.most_common()),
            *self._left_out_lines(),
            *(f"  {note}" for note in self.notes),
            f"  {NEEDS_REVIEW.upper()}: text may stand in the pixels; {self.images_listed} of {self.images} images are listed in",
            f"    {self.review}",
        ]
        return "\n".join(lines)

    def _left_out_lines(self) -> Iterator[str]:
        if self.left_out:
            codes = Counter(code for _, code, _ in self.left_out)
            yield f"  NOT copied: {len(self.left_out)} files ({', '.join(f'{n} {code}' for code, n in codes.most_common())})"
            for file, _, reason in self.left_out[:NAMED]:
                yield f"    {file}: {reason.removeprefix(Path(file).name).lstrip(': ')}"
            if len(self.left_out) > NAMED:
                yield f"    and {len(self.left_out) - NAMED} more; --json names all"


def deidentify(
    source: Path | str,
    out: Path | str,
    *,
    profile: str = "basic",
    options: Sequence[str] = (),
    link: Path | str | None = None,
    mask: Path | str | None = None,
    sheet: Path | str | None = None,
    sheet_keep: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> DeidentifySummary:
    """Write a de-identified copy of `source` into the new or empty folder `out`.

    profile     "basic", the one that PS3.15 has
    options     of the profile, by the names in imaging.deidentify.profile.OPTION_CODES
    link        re-link table, used and extended, or made; without it nobody can trace anything back
    mask        JSON file with regions to be blackened
    sheet       sheet of labels that gets the new identifiers, as sheet.csv in `out`
    sheet_keep  columns of the sheet that are declared harmless
    """
    source, out = Path(source), Path(out)
    link_path = Path(link) if link is not None else None
    if profile != "basic":
        raise OverreadError(f"profile = '{profile}': expected basic, the one profile of PS3.15.", "--profile basic, and options")
    chosen = Profile(frozenset(options))
    check_places(source, out, link_path)
    table = read_link(link_path)
    settings = Settings(chosen, table.secret, read_rules(Path(mask)) if mask is not None else ())
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=out.parent, prefix=".deidentifying-"))
    try:
        summary = _written(source, beside, settings, table, workers, progress)
        if sheet is not None:
            summary = _with_sheet(summary, Path(sheet), beside, sheet_keep)
        write_json(beside / LOG, summary[0].as_log())
        if link_path is not None:
            write_link(link_path, table)
        os.chmod(beside, 0o755)
        if out.exists():
            out.rmdir()
        os.replace(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return replace(summary[0], folder=out, link=link_path)


def confirm(out: Path | str) -> Path:
    """Write down that a person has looked at the review page and found nothing that identifies."""
    path = Path(out) / LOG
    if not path.is_file():
        raise OverreadError(f"{out} holds no {LOG}.", "give the output folder of overread deidentify")
    value = read_json(path)
    if value.get("status") == REVIEWED:
        raise OverreadError(f"{out} was confirmed before, on {value.get('reviewed', '?')}.")
    write_json(path, value | {"status": REVIEWED, "reviewed": datetime.now(UTC).date().isoformat()})
    return path


def _written(
    source: Path, out: Path, settings: Settings, table: LinkTable, workers: int | None, progress: Progress | None
) -> tuple[DeidentifySummary, list[Done]]:
    """Every file, into the folder `out`; the summary and what was done, without pictures."""
    walk = Walk(source)
    names = sorted(name for name, _ in walk.files())
    left_out = [(refused.path, refused.code, refused.reason) for refused in walk.refused]
    review, done, log = Review(), [], Counter[tuple[str, str]]()
    for one in counted(_each(source, names, out, settings, workers), len(names), "De-identifying", progress):
        if isinstance(one, NotWritten):
            left_out.append((one.source, one.code, one.reason))
            continue
        review.take(one)
        table.take(one)
        log.update(one.log)
        accession = table.rows.get(("accession", one.identity.accession), "") if one.identity else ""
        done.append(replace(one, look=None, log=Counter(), facts={"accession": accession}))
    if not done:
        reasons = "; ".join(reason for _, _, reason in left_out[:3]) or "the folder holds no file"
        raise Refused("nothing-written", f"No file of {source} could be de-identified: {reasons}", "give a folder with images")
    _refuse_unused(settings, done)
    table.leave_out((file, code) for file, code, _ in left_out)
    review.write(out / REVIEW)
    return _summary(out, settings, done, left_out, log, review, walk.hidden), done


def _refuse_unused(settings: Settings, done: Sequence[Done]) -> None:
    """A region that fits no image would leave text in place in silence."""
    used = {number for one in done for number in one.rules}
    for number, rule in enumerate(settings.rules):
        if number not in used:
            where = ", ".join(f"{name} {value}" for name, value in rule.where)
            raise Refused(
                "region-unused",
                f"Region {number + 1} ({where}) fits no image, so nothing was written.",
                "correct it, or give the --link table of the run that named it",
            )


def _summary(
    out: Path,
    settings: Settings,
    done: Sequence[Done],
    left_out: Sequence[tuple[str, str, str]],
    log: Counter[tuple[str, str]],
    review: Review,
    hidden: int,
) -> DeidentifySummary:
    dicom = [one for one in done if one.identity is not None]
    faces = len({one.series for one in done if one.has_face})
    by_attribute: dict[str, dict[str, int]] = {}
    for (attribute, action), count in sorted(log.items()):
        if count:
            by_attribute.setdefault(attribute, {})[action] = count
    return DeidentifySummary(
        out,
        None,
        settings.profile,
        len(done),
        len({one.patient for one in dicom}),
        len({Path(one.written).parts[:2] for one in dicom}),
        len({one.series for one in dicom}),
        tuple(sorted(left_out)),
        by_attribute,
        review.images_listed,
        review.images,
        faces,
        sum(bool(one.rules) for one in done),
        notes=tuple(_notes(done, faces, hidden)),
    )


def _notes(done: Sequence[Done], faces: int, hidden: int) -> Iterator[str]:
    if faces:
        yield f"A FACE REMAINS in {faces} series of a head: its surface can be rendered and recognised. Deface before sharing."
    volumes = sum(one.identity is None and one.format in ("nii", "nii.gz", "nrrd", "mha") for one in done)
    if volumes:
        yield f"{volumes} volumes do not say which part of the body they show: where it is a head, a face remains."
    if hidden:
        yield f"{hidden} hidden files or folders were not looked at and not copied."


def _with_sheet(
    written: tuple[DeidentifySummary, list[Done]], sheet: Path, out: Path, keep: Sequence[str]
) -> tuple[DeidentifySummary, list[Done]]:
    summary, done = written
    result = write_sheet(sheet, out / SHEET, done, keep)
    notes = [f"sheet: {result.rows} rows with new ids ({', '.join(result.replaced)}) in {SHEET}"]
    if result.left_out:
        notes.append(f"sheet: columns left out: {', '.join(result.left_out)}; --sheet-keep NAME keeps one that is harmless")
    if result.rows_left_out:
        notes.append(f"sheet: {result.rows_left_out} rows fit no image and were left out")
    return replace(summary, sheet=result, notes=(*summary.notes, *notes)), done


def _each(source: Path, names: Sequence[str], out: Path, settings: Settings, workers: int | None) -> Iterator[Done | NotWritten]:
    """In the order of `names`; a bounded number of files is under way."""
    count = workers if workers is not None else _process_count(len(names))
    if count <= 1:
        for name in names:
            yield deidentify_file(source, name, out, settings)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads; the children only handle files
        pool = ProcessPoolExecutor(count, mp_context=get_context("fork"), initializer=begin_as_worker)
        try:
            step = count * AHEAD
            for start in range(0, len(names), step):
                part = names[start : start + step]
                yield from pool.map(deidentify_file, [source] * len(part), part, [out] * len(part), [settings] * len(part))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _process_count(files: int) -> int:
    if files < PARALLEL_FROM or "fork" not in get_all_start_methods():
        return 1
    return min(processors(), MOST_PROCESSES)
