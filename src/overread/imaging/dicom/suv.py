"""PET to standardised uptake values by body weight (SUVbw, g/ml), or a refusal that says what is missing.

Sources: DICOM PS3.3 C.8.9.1 (PET Series) and C.8.9.2 (PET Isotope); QIBA, "SUV vendor-neutral pseudo-code"
(happy path and the robust path for altered series times and Philips counts).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from overread.imaging.dicom.elements import numbers_of, read_elements
from overread.imaging.dicom.header import Header
from overread.imaging.dicom.real_world import BECQUEREL, SUV
from overread.imaging.dicom.suv_time import KEYWORDS as TIME_KEYWORDS
from overread.imaging.dicom.suv_time import decay_seconds, no_suv, scan_time, text_at
from overread.imaging.dicom.values import items, number, text, words

PHILIPS, PHILIPS_CREATOR, PHILIPS_SUV, PHILIPS_BQML = "Philips PET Private Group", 0x70530010, 0x70531000, 0x70531009
OWN_TEXT = (
    "PatientWeight Units SUVType CorrectedImage DecayCorrection DecayCorrected AttenuationCorrected "
    "RadiopharmaceuticalInformationSequence"
)
WANTED = numbers_of((*OWN_TEXT.split(), PHILIPS_CREATOR, PHILIPS_SUV, PHILIPS_BQML, *TIME_KEYWORDS))

WEIGHT_KG = (0.4, 500.0)  # a premature child, and more than any scanner bears
DOSE_BQ = (1e5, 5e11)  # doses given in MBq fall far below
NUCLIDES = {  # half-life in seconds by SNOMED CT and retired SNOMED code (PS3.16 CID 4020), symbol and name
    6586.2: ("77004003", "C-111A1", "18F", "FLUORINE"),
    1223.4: ("40565003", "C-105A1", "11C", "CARBON"),
    597.9: ("21576001", "C-107A1", "13N", "NITROGEN"),
    122.24: ("129504001", "C-B1038", "15O", "OXYGEN"),
    4062.6: ("35337001", "C-131A3", "68GA", "GALLIUM"),
    45723.6: ("3932008", "C-127A2", "64CU", "COPPER"),
    282276.0: ("63360001", "C-168A4", "89ZR", "ZIRCONIUM"),
    360806.4: ("40937006", "C-114A5", "124I", "IODINE"),
    76.38: ("79197006", "C-159A2", "82RB", "RUBIDIUM"),
}
HALF_LIFE_AGREES = 0.02  # share by which a half-life may differ from that of its nuclide


@dataclass(frozen=True)
class Injection:
    """What was given, and to whom."""

    weight_kg: float
    dose_bq: float
    half_life_s: float


def suv_factors(headers: Sequence[Header], units: str, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """What turns the real values of each file into SUV by body weight, in g/ml.

    units    of the values where a real-world value map gave them, else ""
    returns  (N,) factors in the order of `headers`, and notes on how they were found
    """
    if units == SUV:
        return np.ones(len(headers)), ()
    by_path = {h.path: read_elements(h.path, h.transfer_syntax, WANTED).tags for h in headers}
    files = [by_path[h.path] for h in headers]
    said = {text(tags, "Units").upper() for tags in files}
    if len(said) > 1:
        raise no_suv(name, f"its slices have different units (0054,1001): {', '.join(sorted(said))}", "separate them")
    unit = "BQML" if units == BECQUEREL else said.pop()
    if unit == "GML":
        return np.ones(len(headers)), _already(files[0], name)
    _refuse_uncorrected(files[0], name)
    if unit == "CNTS":
        philips = [_philips(tags, PHILIPS_SUV) for tags in files]
        if all(philips):
            return np.array(philips, dtype=np.float64), ("SUV by the maker's own factor (7053,1000)",)
        to_becquerel = [_philips(tags, PHILIPS_BQML) for tags in files]
        if not all(to_becquerel):
            raise no_suv(name, "its units are counts (CNTS) without the maker's factor to SUV (7053,1000)")
        factor, notes = _from_becquerel(files, name)
        return np.array(to_becquerel, dtype=np.float64) * factor, ("activity by the maker's own factor (7053,1009)", *notes)
    if unit != "BQML":
        what = f"its units (0054,1001) are '{unit}'" if unit else "its units (0054,1001) are missing"
        raise no_suv(name, f"{what}; expected BQML, GML or Philips CNTS")
    factor, notes = _from_becquerel(files, name)
    return np.full(len(headers), factor), notes


def _already(tags: Dataset, name: str) -> tuple[str, ...]:
    kind = text(tags, "SUVType").upper()
    if kind not in ("", "BW"):
        raise no_suv(
            name, f"its values are SUV by another measure (SUV Type {kind}), not by body weight", "export SUV BW or BQML"
        )
    return ("values were SUV in the file",) if kind else ("values were SUV in the file, taken as by body weight",)


def _refuse_uncorrected(tags: Dataset, name: str) -> None:
    """Activity means something only where attenuation and decay were corrected."""
    done = {word.upper() for word in words(tags, "CorrectedImage")}
    for sign, keyword, plain in (("ATTN", "AttenuationCorrected", "attenuation"), ("DECY", "DecayCorrected", "decay")):
        # the standard's own word is DECY; some makers and QIBA write DECAY
        is_done = sign in done or (sign == "DECY" and "DECAY" in done) or text(tags, keyword).upper() == "YES"
        if not is_done:
            what = f"it was not corrected for {plain} (Corrected Image (0028,0051) is '{' '.join(sorted(done))}')"
            raise no_suv(name, what, "choose the corrected series of the exam")


def _from_becquerel(files: Sequence[Dataset], name: str) -> tuple[float, tuple[str, ...]]:
    """Bq/ml to g/ml: weight over what is left of the dose."""
    notes: list[str] = []
    found = {(_injection(tags, name, notes), text(tags, "DecayCorrection").upper()) for tags in files}
    if len(found) > 1:
        raise no_suv(name, "its slices disagree on weight, dose, half-life or decay correction", "separate them")
    given, correction = found.pop()
    left = given.dose_bq
    if correction == "ADMIN":
        notes.append("decay corrected to the injection")
    elif correction in ("START", ""):
        scan = scan_time(files, correction, given.half_life_s, name, notes)
        delay = decay_seconds(scan, files[0].RadiopharmaceuticalInformationSequence[0], given.half_life_s, name, notes)
        left *= 2 ** (-delay / given.half_life_s)
        notes.append(f"decay corrected over {delay / 60:.1f} minutes from injection to scan")
    else:
        raise no_suv(name, f"decay correction (0054,1102) is '{correction}'; expected START or ADMIN", "choose another series")
    return given.weight_kg * 1000 / left, tuple(dict.fromkeys(notes))


def _injection(tags: Dataset, name: str, notes: list[str]) -> Injection:
    injected = items(tags, "RadiopharmaceuticalInformationSequence")
    if not injected:
        raise no_suv(name, "it does not say what was injected (0054,0016)")
    given = injected[0]
    weight = _within(tags, "PatientWeight", "the patient's weight (0010,1030)", "kg", WEIGHT_KG, name)
    dose = _within(given, "RadionuclideTotalDose", "the injected dose (0018,1074)", "Bq", DOSE_BQ, name)
    half_life = _half_life(given, name, notes)
    return Injection(weight, dose, half_life)


def _within(tags: Dataset, keyword: str, what: str, unit: str, limits: tuple[float, float], name: str) -> float:
    value = number(tags, keyword)
    if value is None:
        raise no_suv(name, f"{what} is missing")
    if not limits[0] <= value <= limits[1]:
        raise no_suv(name, f"{what} is {value:g} {unit}, which cannot be; expected {limits[0]:g} to {limits[1]:g} {unit}")
    return value


def _half_life(given: Dataset, name: str, notes: list[str]) -> float:
    """As stated; by the nuclide where it is not; refused where the two contradict each other."""
    known = _nuclide(given)
    stated = number(given, "RadionuclideHalfLife")
    if stated is None or stated <= 0:
        if known is None:
            raise no_suv(name, "the half-life (0018,1075) is missing")
        notes.append(f"half-life of the nuclide taken as {known:g} s")
        return known
    if known is not None and abs(stated - known) > HALF_LIFE_AGREES * known:
        raise no_suv(
            name, f"the half-life is {stated:g} s, but its nuclide has one of {known:g} s", "ask where the exam was made"
        )
    return stated


def _nuclide(given: Dataset) -> float | None:
    """The half-life that belongs to the coded nuclide; None where it is not in the table."""
    for item in items(given, "RadionuclideCodeSequence"):
        code, meaning = text(item, "CodeValue").upper(), text(item, "CodeMeaning").upper().replace("^", "").replace("-", "")
        for seconds, (snomed, retired, symbol, name) in NUCLIDES.items():
            number_, letters = symbol.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), symbol.lstrip("0123456789")
            if code in (snomed, retired) or meaning in {
                f"{a}{b}" for e in (letters, name) for a, b in ((e, number_), (number_, e))
            }:
                return seconds
    return None


def _philips(tags: Dataset, tag: int) -> float | None:
    """A private factor of Philips; None where there is none above zero."""
    if text_at(tags, PHILIPS_CREATOR) != PHILIPS:
        return None
    try:
        value = float(text_at(tags, tag).split("\\")[0])
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
