"""Dates of one patient, all moved by the same number of days: intervals and weekdays stay. Times of day stay.

Forms: PS3.5 6.2 (DA, TM, DT). A value that cannot be understood gives None and is emptied by the caller.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

DATE = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")
MOMENT = re.compile(r"(\d{8})(\d{0,6}(?:\.\d{1,6})?)([+-]\d{4})?")
TIME = re.compile(r"\d{2}(:?\d{2}(:?\d{2}(\.\d{1,6})?)?)?")
AGE = re.compile(r"(\d{3})([DWMY])")
OLDEST = 90  # ages above 89 identify a person (HIPAA Safe Harbor, 45 CFR 164.514)
IN_A_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}


def shifted_date(text: str, days: int) -> str | None:
    """``20200102``, or the old form ``2020.01.02``, moved by `days`."""
    found = DATE.fullmatch(text.strip("\0 "))
    if not found:
        return None
    try:
        moved = date(*(int(part) for part in found.groups())) + timedelta(days)
    except (ValueError, OverflowError):
        return None
    return moved.strftime("%Y%m%d") if moved.year >= 1000 else None


def shifted_moment(text: str, days: int) -> str | None:
    """A DT value; its offset from UTC, which tells a region, is dropped."""
    found = MOMENT.fullmatch(text.strip("\0 "))
    moved = shifted_date(found[1], days) if found else None
    return moved + found[2] if found and moved else None


def shifted(text: str, vr: str, days: int) -> str | None:
    """A value of a date, a time or both; times of day are not moved."""
    if vr == "DA":
        return shifted_date(text, days)
    if vr == "DT":
        return shifted_moment(text, days)
    return text.strip("\0 ") if TIME.fullmatch(text.strip("\0 ")) else None


def capped_age(text: str) -> str | None:
    """An age (AS): 90 years where it is above 89."""
    found = AGE.fullmatch(text.strip("\0 "))
    if not found:
        return None
    years = int(found[1]) / IN_A_YEAR[found[2]]
    return f"{OLDEST:03d}Y" if years >= OLDEST else found[0]
