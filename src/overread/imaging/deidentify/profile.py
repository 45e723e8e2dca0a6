"""What the user asked for: the basic profile and its options, and the action that follows for an attribute."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from overread.core.errors import OverreadError
from overread.imaging.deidentify.table import chosen, row_of

BASIC = ("113100", "Basic Application Confidentiality Profile")
PIXELS = ("113101", "Clean Pixel Data Option")
OPTION_CODES = {
    "graphics": ("113103", "Clean Graphics Option"),
    "structured": ("113104", "Clean Structured Content Option"),
    "descriptors": ("113105", "Clean Descriptors Option"),
    "dates_full": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "dates_modified": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "patient": ("113108", "Retain Patient Characteristics Option"),
    "device": ("113109", "Retain Device Identity Option"),
    "uids": ("113110", "Retain UIDs Option"),
    "safe_private": ("113111", "Retain Safe Private Option"),
    "institution": ("113112", "Retain Institution Identity Option"),
}
DATE_OPTIONS = ("dates_full", "dates_modified")
MOMENTS = ("DA", "TM", "DT")


@dataclass(frozen=True)
class Profile:
    """The basic profile with the chosen options, by their names in `OPTION_CODES`."""

    options: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if unknown := self.options - set(OPTION_CODES):
            raise OverreadError(f"There is no option {', '.join(sorted(unknown))}; there are {', '.join(OPTION_CODES)}.")
        if self.options.issuperset(DATE_OPTIONS):
            raise OverreadError(
                "Dates cannot both be kept in full and be shifted.", "choose --retain-dates-modified or --retain-dates-full"
            )

    @property
    def dates(self) -> str:
        """What Longitudinal Temporal Information Modified (0028,0303) says."""
        if "dates_full" in self.options:
            return "UNMODIFIED"
        return "MODIFIED" if "dates_modified" in self.options else "REMOVED"

    def codes(self) -> tuple[tuple[str, str], ...]:
        """Code value and meaning (PS3.16 CID 7050) of everything that was applied."""
        return (BASIC, *(code for name, code in OPTION_CODES.items() if name in self.options))

    def action(self, tag: int, vr: str, sop_class: str, parent: int | None = None) -> str | None:
        """X, Z, D, U, K or C; None where Table E.1-1 does not name the attribute."""
        return _action(self.options, tag, vr, sop_class, parent)


@cache
def _action(options: frozenset[str], tag: int, vr: str, sop_class: str, parent: int | None) -> str | None:
    row = row_of(tag)
    if row is None:
        return None
    considered = options.intersection(row.options)
    if vr in MOMENTS and row.options.keys() & set(DATE_OPTIONS):
        considered &= set(DATE_OPTIONS)  # a date is a date: another option does not keep it unshifted
    wishes = {row.options[name] for name in considered}
    for wish in ("X", "C", "K"):  # the stricter one where two options differ
        if wish in wishes:
            return wish
    return chosen(row.basic, tag, sop_class, parent)
