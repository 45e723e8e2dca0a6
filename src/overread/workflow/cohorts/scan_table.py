"""What a scan found, as a table of patients, studies and series, each with "pass" or the reason why not.

It shows identifiers as the files have them: it is for the terminal of whoever holds the images, and goes into no
project, report or record.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from overread.cohort.folders import scan_images
from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.imaging.found import Found, Scan
from overread.workflow.project import Summary

PASS = "pass"
SHOWN_ROWS = 200
WIDEST = 44
HEADER = ("patient", "study", "series", "kind", "files", "size (Z, Y, X)", "spacing mm", "pass, or why not")
MOST_REASON = 400  # characters


@dataclass(frozen=True)
class Looked:
    """A scan, and the same in lines for people and facts for programs."""

    lines: tuple[str, ...]
    facts: dict[str, Any]
    scan: Scan


def look_at(images: Path, gaps: str, tilt: str, progress: Progress | None = None, headers: Path | None = None) -> Looked:
    """Scan a folder of images, or one file, and put what is there into a table. Only `headers` is written, where given."""
    images = Path(images).resolve()
    scanned = scan_images(images, gaps, tilt, progress, headers)
    return Looked(tuple(_lines(images, scanned)), _facts(images, scanned), scanned)


def rehearsed(looked: Looked, summary: Summary) -> Summary:
    """The table, and after it what `init` would make."""
    return Summary((*looked.lines, "", *summary.lines), {**summary.facts, "ready": True, "scan": looked.facts})


def undecided(looked: Looked, error: OverreadError) -> Summary:
    """The table, and after it what is to be said or put right before there can be a project."""
    lines = ["", "Before a project can be made", f"  {error.what}", *([f"  say or do: {error.next}"] if error.next else [])]
    facts = {"ready": False, "undecided": {"error": error.what, "code": getattr(error, "code", ""), "next": error.next}}
    return Summary((*looked.lines, *lines, "", "Nothing was written (dry run)."), {**facts, "scan": looked.facts})


def verdict(found: Found) -> str:
    """ "pass", or the short name of the reason."""
    return PASS if found.is_eligible else str(found.attributes.get("code", "other"))


def _facts(images: Path, scanned: Scan) -> dict[str, Any]:
    return {
        "folder": str(images),
        **_counts(scanned.found),
        "images": [_fact(f) for f in scanned.found],
        "refused": [{"path": r.path, "code": r.code, "reason": r.reason} for r in scanned.refused],
        "no_images": dict(scanned.ignored),
        "hidden": scanned.hidden,
        "notes": list(scanned.notes),
    }


def _counts(found: Sequence[Found]) -> dict[str, int]:
    return {
        "patients": len({f.patient for f in found if f.patient}),
        "studies": len({f.study for f in found if f.study}),
        "series": len({(f.study, f.series) for f in found if f.series}),
        "found": len(found),
        "pass": sum(f.is_eligible for f in found),
    }


def _fact(found: Found) -> dict[str, Any]:
    about = found.attributes
    return {
        "patient": found.patient,
        "study": found.study,
        "series": found.series,
        "volume": about.get("volume"),
        "study_date": about.get("study_date"),
        "description": found.name,
        "format": found.format,
        "modality": about.get("modality"),
        "files": len(found.files),
        "first_file": found.files[0],
        "index": found.index,
        "shape": found.shape,
        "spacing": found.spacing,
        "pass": found.is_eligible,
        "code": None if found.is_eligible else verdict(found),
        "reason": about.get("ineligible"),
        "next": about.get("next") or None,
        "repairs": list(about.get("repairs", ())),
    }


def _lines(images: Path, scanned: Scan) -> list[str]:
    found, refused = scanned.found, scanned.refused
    counts = _counts(found)
    words = (("patients", "patient", "patients"), ("studies", "study", "studies"), ("series", "series", "series"))
    known = "".join(f"{_n(counts[key], one, many)}, " for key, one, many in words if counts[key])
    lines = [f"Looked at {images}: {known}{_n(counts['found'], 'image', 'images')}, of which {counts['pass']} pass", ""]
    rows = [*_series_rows(found), *_file_rows(found)]
    lines += _table(rows[:SHOWN_ROWS])
    if len(rows) > SHOWN_ROWS:
        lines.append(f"  ... and {len(rows) - SHOWN_ROWS} rows more; --json lists all")
    failed = ((verdict(f), f.files[0], _why(f)) for f in found if not f.is_eligible)
    lines += _reasons("Why some do not pass", failed)
    lines += _reasons("Refused files", ((r.code, r.path, r.reason) for r in refused))
    aside = [f"{n} {suffix or 'without a suffix'}" for suffix, n in scanned.ignored.items()]
    aside += [f"{scanned.hidden} hidden"] if scanned.hidden else []
    lines += [*(["", f"No images: {', '.join(aside)}"] if aside else []), *(f"Note: {clean(note)}" for note in scanned.notes)]
    return lines


def _n(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _series_rows(found: Sequence[Found]) -> list[list[str]]:
    """One row per series, or per volume in it; patient and study are written once."""
    rows: list[list[str]] = []
    before: tuple[str, ...] = ()
    for item in sorted((f for f in found if f.format == "dicom"), key=_order):
        about = item.attributes
        patient, study = item.patient or "not known", _study(item)
        number = f"{about['series_number']:.0f} " if about.get("series_number") is not None else ""
        same = [patient, f"{item.study}"]
        rows.append(
            [
                "" if before[:1] == (patient,) else patient,
                "" if before == tuple(same) else study,
                _called(number + _short(item.name), about.get("volume")),
                str(about.get("modality") or "DICOM"),
                str(len(item.files)),
                *_geometry(item),
                _status(item),
            ]
        )
        before = tuple(same)
    return rows


def _order(found: Found) -> tuple[Any, ...]:
    about = found.attributes
    number = about.get("series_number")
    day = str(about.get("study_date") or "")
    return (found.patient or "~", day, found.study or "", 1e9 if number is None else number, found.files, found.index or 0)


def _study(found: Found) -> str:
    day, description = str(found.attributes.get("study_date") or ""), str(found.attributes.get("study_description") or "")
    day = f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == 8 and day.isdigit() else day
    return f"{day} {description}".strip() or _short(found.study or "not known")


def _short(name: str) -> str:
    """A UID, which stands where nothing describes a series, by its end."""
    return f"...{name[-12:]}" if len(name) > 24 and name.replace(".", "").isdigit() else name


def _called(name: str, volume: str | None) -> str:
    """A series and which volume of it: a long name is cut, never the volume."""
    return _cut(name) if not volume else f"{_cut(name, WIDEST - len(volume) - 3)} [{volume}]"


def _file_rows(found: Sequence[Found]) -> list[list[str]]:
    """Files of other formats, which name no patient: one row for all of a folder that are alike."""
    groups: dict[tuple[str, ...], list[Found]] = defaultdict(list)
    for item in found:
        if item.format != "dicom":
            place = item.files[0] if item.format == "npz" else str(PurePosixPath(item.files[0]).parent)
            kind = f"{item.format} mask" if item.attributes.get("is_mask") else item.format
            groups[place, kind, _status(item)].append(item)
    rows = []
    for (place, kind, status), items in sorted(groups.items()):
        what = items[0].name if len(items) == 1 else "in this folder" if place == "." else place
        number = len({f.files for f in items})
        rows.append(["", "", what, kind, f"{len(items)} rows" if kind == "npz" else str(number), *_span(items), status])
    return rows


def _why(found: Found) -> str:
    """The reason, and what can be done about it."""
    step = str(found.attributes.get("next") or "")
    return str(found.attributes["ineligible"]) + (f" To do: {step}." if step else "")


def _status(found: Found) -> str:
    repairs = found.attributes.get("repairs")
    return f"{PASS} ({' and '.join(repairs)} repaired)" if repairs and found.is_eligible else verdict(found)


def _geometry(found: Found) -> tuple[str, str]:
    shape = " x ".join(map(str, found.shape)) if found.shape else ""
    return shape, " x ".join(f"{v:.3g}" for v in _known_spacing(found)) if found.spacing else ""


def _known_spacing(found: Found) -> tuple[float, ...]:
    """A film or a single picture has no distance between slices."""
    spacing = found.spacing or ()
    return spacing[1:] if found.format in ("dicom", "raster") and found.shape is not None and found.shape[0] == 1 else spacing


def _span(items: Sequence[Found]) -> tuple[str, str]:
    """The geometry that all have, or from the least to the most along each axis."""
    spaced = [_known_spacing(f) for f in items if f.spacing]
    shapes = _range([f.shape for f in items if f.shape], "d")
    return shapes, _range(spaced, ".3g") if len(spaced) == len(items) and len({len(s) for s in spaced}) == 1 else ""


def _range(values: Sequence[Sequence[float]], form: str) -> str:
    axes = [(min(axis), max(axis)) for axis in zip(*values, strict=True)]
    return " x ".join(f"{low:{form}}" if low == high else f"{low:{form}}-{high:{form}}" for low, high in axes)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    cells = [[_cut(clean(cell)) for cell in row] for row in (HEADER, *rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(HEADER))]
    used = [k for k in range(len(HEADER)) if any(row[k] for row in cells[1:])]
    return ["  " + "  ".join(row[k].ljust(widths[k]) for k in used).rstrip() for row in cells]


def _cut(text: str, widest: int = WIDEST) -> str:
    widest = max(widest, 8)
    return text if len(text) <= widest else f"{text[: widest - 3]}..."


def _reasons(title: str, given: Iterable[tuple[str, str, str]]) -> list[str]:
    """Each reason once: how often, its short name, and the first file it was found for."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for code, path, reason in given:
        counts[code] += 1
        first.setdefault(code, reason if PurePosixPath(path).name in reason else f"{path}: {reason}")
    if not counts:
        return []
    width = max(map(len, counts))
    lines = ["", title]
    for code, n in counts.most_common():
        text = clean(first[code])
        lines.append(f"  {n:>6}  {code:<{width}}  {text if len(text) <= MOST_REASON else text[:MOST_REASON] + '...'}")
    return lines


def clean(text: str) -> str:
    """Without control characters: what a header says must not steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
