"""What each column of a sheet is for: inferred from names and contents, each with the reason, or as the user said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from overread.cohort.names import partition_of
from overread.cohort.sheet import Sheet, as_date, is_number

PATIENT = re.compile(r"(?<![a-z])(patient|patients|subject|pid|mrn|person|pat)(?![a-z])")
WORDS = {
    "age": {"age", "alter", "age_years", "patient_age", "ageyears"},
    "sex": {"sex", "gender", "patient_sex", "geschlecht"},
    "site": {"site", "hospital", "centre", "center", "institution", "clinic"},
    "scanner": {"scanner", "vendor", "manufacturer", "machine", "device", "scanner_model"},
    "side": {"side", "laterality", "breast_side", "eye"},
}
DATE_NAME = re.compile(r"(date|datum|day)$|^(date|datum)|(?<![a-z])date(?![a-z])")
BIRTH = re.compile(r"birth|geburt|born|(?<![a-z])dob(?![a-z])")  # a date, but not of the exam
SPLIT_NAME = re.compile(r"split|fold|partition|subset")
LABEL_NAME = re.compile(r"^(label|labels|diagnosis|class|target|outcome|finding|y|truth|ground_truth|pathology)$")
FILE_NAME = re.compile(r"(path|file|filename|image|uid|hash|md5|sha\d*|link|url)$")
MOST_CLASSES = 20


@dataclass(frozen=True)
class Roles:
    """Columns by role; None or empty where the sheet has none.

    covariates  our name -> column
    labels      columns that could hold the truth, with what they could be: "classes", "numbers" or "yes-no"
    splits      columns that hold a distributed split
    reasons     column -> why
    """

    patient: str | None
    date: str | None
    side: str | None
    site: str | None
    scanner: str | None
    covariates: Mapping[str, str]
    labels: Mapping[str, str]
    splits: tuple[str, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def plain(name: str) -> str:
    return "_".join(re.findall(r"[^\W_]+", name.casefold()))


def infer_roles(sheet: Sheet, id_column: str, said: Mapping[str, str | None], covariates: Sequence[str] = ()) -> Roles:
    """Give every column a role.

    said        role -> column where the user named one ("patient", "date", "site", "scanner", "side")
    covariates  columns that the user wants kept
    """
    free = [c for c in sheet.columns if c != id_column]
    reasons: dict[str, str] = {}
    taken: dict[str, str | None] = {}
    for said_role, wanted in said.items():
        taken[said_role] = None if wanted is None else sheet.find(wanted)
        if wanted is not None:
            reasons[sheet.find(wanted)] = "you said so"
    for column in free:
        role = _role_by_name(sheet, column)
        if role in ("patient", "date", "side", "site", "scanner") and taken.get(role) is None and column not in taken.values():
            taken[role] = column
            reasons[column] = "by the column's name"
    known = {sheet.find(c): sheet.find(c) for c in covariates}
    for column in free:
        role = _role_by_name(sheet, column)
        if role in ("age", "sex") and column not in taken.values() and role not in known:
            known[role] = column
            reasons[column] = "by the column's name"
    splits = tuple(c for c in free if _is_split(sheet, c))
    used = {id_column, *splits, *known.values(), *(c for c in taken.values() if c)}
    labels, unused = {}, []
    for column in free:
        if column in used:
            continue
        kind = label_kind(sheet, column)
        if kind is None:
            unused.append(column)
        else:
            labels[column] = kind
    return Roles(
        taken.get("patient"),
        taken.get("date"),
        taken.get("side"),
        taken.get("site"),
        taken.get("scanner"),
        known,
        labels,
        splits,
        reasons,
        tuple(unused),
    )


def _role_by_name(sheet: Sheet, column: str) -> str | None:
    name = plain(column)
    for role, words in WORDS.items():
        if name in words:
            return role
    if PATIENT.search(name) and len({c for c in sheet.column(column) if c}) > 1:
        return "patient"
    cells = [c for c in sheet.column(column) if c is not None]
    if DATE_NAME.search(name) and not BIRTH.search(name) and cells and all(as_date(c) for c in cells):
        return "date"
    return None


def _is_split(sheet: Sheet, column: str) -> bool:
    words = {c for c in sheet.column(column) if c is not None}
    if words and all(partition_of(w) for w in words):
        return True
    return bool(SPLIT_NAME.search(plain(column))) and all(w.isdecimal() for w in words)


def label_kind(sheet: Sheet, column: str) -> str | None:
    """What a column could be as truth: "yes-no" (0, 1, and -1 for uncertain), "classes", "numbers", or None for neither."""
    cells = [c for c in sheet.column(column) if c is not None]
    different = {c.casefold() for c in cells}
    if len(different) < 1 or (FILE_NAME.search(plain(column)) and len(different) > MOST_CLASSES):
        return None
    if different <= {"0", "1", "0.0", "1.0", "-1", "-1.0"} and different & {"0", "1", "0.0", "1.0"}:  # -1: uncertain (CheXpert)
        return "yes-no"
    if all(is_number(c) for c in cells):
        few_whole = (
            len(different) <= 8 and all(re.fullmatch(r"\d{1,2}", c) for c in different) and len(cells) >= 4 * len(different)
        )
        return "classes" if few_whole else "numbers"
    return "classes" if len(different) <= MOST_CLASSES and len(cells) >= 2 * len(different) else None


def preferred_label(labels: Mapping[str, str]) -> str | None:
    """The one column whose name says that it is the truth, if exactly one does."""
    named = [c for c in labels if LABEL_NAME.match(plain(c))]
    return named[0] if len(named) == 1 else None
