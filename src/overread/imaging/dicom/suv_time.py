"""When a PET was scanned and when its tracer was given: the two ends of the decay that SUV must undo.

Sources: DICOM PS3.3 C.8.9.1.1.5 (decay correction), C.8.9.2 (start time); QIBA, "SUV vendor-neutral pseudo-code".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydicom.dataset import Dataset

from overread.core.errors import Refused
from overread.imaging.dicom.values import number, text

GE, GE_CREATOR, GE_SCAN_TIME = "GEMS_PETD_01", 0x00090010, 0x0009100D
KEYWORDS_TEXT = (
    "DecayCorrectionDateTime SeriesDate SeriesTime AcquisitionDate AcquisitionTime AcquisitionDateTime FrameReferenceTime "
    "ActualFrameDuration"
)
KEYWORDS: tuple[str | int, ...] = (*KEYWORDS_TEXT.split(), GE_CREATOR, GE_SCAN_TIME)
MOST_HALF_LIVES = 10.0  # between injection and scan; a thousandth of the dose is left
DYNAMIC_S = 600.0  # a dynamic scan starts this much before the injection at most
DAY_IS_CLEAR_S = 12 * 3600.0  # a nuclide with a longer half-life may have been given days before
FETCH = "export the series with that element; de-identification often removes it. Or give the SUV as NIfTI"


def no_suv(name: str, what: str, next: str = FETCH) -> Refused:
    return Refused("no-suv", f"{name} is PET, and SUV by body weight cannot be computed: {what}.", next)


def scan_time(files: Sequence[Dataset], correction: str, half_life: float, name: str, notes: list[str]) -> datetime:
    """The time to which decay was corrected: the start of the scan.

    files       tags of every slice
    correction  Decay Correction (0054,1102): START, or "" where only a DecayCorrectionDateTime may tell
    half_life   seconds
    """
    tags = files[0]
    stated = moment_of(text(tags, "DecayCorrectionDateTime"))
    if stated is not None:
        return stated
    if not correction:
        raise no_suv(name, "it does not say to what time decay was corrected (0054,1102)")
    acquired = [moment for moment in (_acquired(each) for each in files) if moment is not None]
    series = moment_of(text(tags, "SeriesDate"), text(tags, "SeriesTime"))
    if not acquired:
        raise no_suv(name, "the time of acquisition (0008,0032) is missing")
    if series is not None and series <= min(acquired):
        return series
    owner = text_at(tags, GE_CREATOR)
    scan = moment_of(text_at(tags, GE_SCAN_TIME)) if owner == GE else None
    if scan is not None:
        notes.append("time of the scan by the maker's own element (0009,100D)")
        return scan
    notes.append("the series time lies after the acquisition; time of the scan taken from the acquisition")
    counted = _back_from_frame(tags, half_life)
    return counted if counted is not None else min(acquired)


def _back_from_frame(tags: Dataset, half_life: float) -> datetime | None:
    """Scan start from the bed position's own: its average count rate falls Frame Reference Time after it."""
    acquired, offset, lasts = _acquired(tags), number(tags, "FrameReferenceTime"), number(tags, "ActualFrameDuration")
    if acquired is None or not offset or not lasts or offset <= 0 or lasts <= 0:
        return None
    decay = math.log(2) / half_life
    during = decay * lasts / 1000
    average = math.log(during / (1 - math.exp(-during))) / decay
    return acquired + timedelta(seconds=average - offset / 1000)


def decay_seconds(scan: datetime, given: Dataset, half_life: float, name: str, notes: list[str]) -> float:
    """Seconds from the injection to the time that decay was corrected to; plausible, or refused.

    given  item of the Radiopharmaceutical Information Sequence (0054,0016)
    """
    stated = moment_of(text(given, "RadiopharmaceuticalStartDateTime"))
    by_clock = _start_by_clock(given, scan)
    if stated is None and by_clock is None:
        raise no_suv(name, "the time of injection (0018,1072) is missing")
    if stated is not None and _is_plausible(scan - stated, half_life):
        return (scan - stated).total_seconds()
    if by_clock is None or half_life > DAY_IS_CLEAR_S:
        if stated is None:
            raise no_suv(name, "the day of the injection (0018,1078) is missing, and its nuclide is used over days")
        raise _implausible(scan - stated, half_life, name)
    if not _is_plausible(scan - by_clock, half_life):
        raise _implausible(scan - by_clock, half_life, name)
    if stated is not None:
        notes.append("the injection's date makes no sense (0018,1078); its time of day was used")
    return (scan - by_clock).total_seconds()


def _is_plausible(delay: timedelta, half_life: float) -> bool:
    return -DYNAMIC_S <= delay.total_seconds() <= MOST_HALF_LIVES * half_life


def _implausible(delay: timedelta, half_life: float, name: str) -> Refused:
    hours = delay.total_seconds() / 3600
    what = f"{hours:.1f} hours lie between injection and scan, with a half-life of {half_life / 3600:.2f} hours; that cannot be"
    return no_suv(name, what, "ask where the exam was made")


def _start_by_clock(given: Dataset, scan: datetime) -> datetime | None:
    """The injection's time of day on the day of the scan, or on the day before where it lies after the scan."""
    clock = moment_of("19000101", text(given, "RadiopharmaceuticalStartTime"))
    if clock is None:
        return None
    start = datetime.combine(scan.date(), clock.time())
    return start - timedelta(days=1) if start > scan + timedelta(seconds=DYNAMIC_S) else start


def _acquired(tags: Dataset) -> datetime | None:
    return moment_of(text(tags, "AcquisitionDateTime")) or moment_of(text(tags, "AcquisitionDate"), text(tags, "AcquisitionTime"))


def moment_of(day: str, clock: str | None = None) -> datetime | None:
    """A DICOM date and time, or a date-time in one; a removed date counts as 1 January 1900. None where it is no time.

    Offsets from universal time are left out: all times of one exam are local.
    """
    if clock is None:
        day, clock = day[:8], day[8:].split("+")[0].split("-")[0]
    else:
        day, clock = day.replace(".", "")[:8] or "19000101", clock.replace(":", "")
    whole, _, part = clock.partition(".")
    if not (whole.isdigit() and len(whole) in (2, 4, 6) and (part.isdigit() or not part)):
        return None
    try:
        return datetime.strptime(day + whole.ljust(6, "0"), "%Y%m%d%H%M%S") + timedelta(seconds=float(f"0.{part or 0}"))
    except ValueError:
        return None


def text_at(tags: Dataset, tag: int) -> str:
    """A private element as text."""
    element = tags.get(tag)
    value = "" if element is None else element.value
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip("\0 ")
