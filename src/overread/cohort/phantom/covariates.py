"""Who is simulated: age, sex, site, scanner, body, contrast phase and the exams of each patient.

Every patient has a random stream of its own, so that asking for more patients leaves the first ones as they were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

STREAMS = {"abdomen": 1, "chest": 2}


@dataclass(frozen=True)
class Scanner:
    """An invented scanner model.

    spacing_mm, thickness_mm  between slice centres, and of a slice
    fwhm_mm, edge             width of the in-plane point spread, and how far it undershoots (a sharp kernel)
    noise_hu                  standard deviation in the centre of a middling body
    from_head                 the first instance is the uppermost slice
    """

    site: str
    vendor: str
    model: str
    kernel: str
    spacing_mm: float
    thickness_mm: float
    fwhm_mm: float
    edge: float
    noise_hu: float
    kvp: int
    from_head: bool


SCANNERS = (
    Scanner("North", "Phantom Imaging Works", "Phantom Scanner A", "PB30s", 3.0, 3.0, 1.6, 0.0, 9.0, 120, True),
    Scanner("South", "Simulated Systems", "Phantom Scanner B", "SIM-STD", 5.0, 5.0, 1.2, 0.22, 13.0, 100, False),
)


@dataclass(frozen=True)
class Person:
    """One simulated patient."""

    number: int
    patient_id: str
    sex: str
    birth: date
    site: int  # row of SCANNERS (or of the chest film units)
    weight: float  # body size, 1.0 is middling
    fat: float  # 0 slim to 1 obese
    liver_hu: float  # parenchyma in the portal venous phase; low in steatosis
    burden: str  # "none", "mimics" or "metastases"
    response: float  # growth of metastases per exam: below 1 shrinks
    exam_dates: tuple[date, ...]

    def age_on(self, day: date) -> int:
        return day.year - self.birth.year - ((day.month, day.day) < (self.birth.month, self.birth.day))

    def at_site(self, site: int) -> Person:
        return replace(self, site=site)


def random_stream(seed: int, kind: str, number: int, purpose: int) -> np.random.Generator:
    """The random numbers of one patient for one purpose; independent of how many patients there are."""
    return np.random.default_rng(np.random.SeedSequence([seed, STREAMS[kind], number, purpose]))


def draw_person(seed: int, kind: str, number: int) -> Person:
    """Patient `number` (from 1) of the cohort `seed`."""
    random = random_stream(seed, kind, number, 0)
    sex = "F" if random.random() < 0.48 else "M"
    first = date(2019, 1, 7) + timedelta(days=int(random.integers(0, 1400)))
    age = float(np.clip(random.normal(61, 12), 24, 90))
    steatosis = random.random() < 0.3
    liver = random.normal(72, 10) if steatosis else random.normal(108, 8)
    exams = int(random.choice([1, 2, 3], p=[0.6, 0.28, 0.12]))
    gaps = random.integers(60, 200, size=exams)
    return Person(
        number=number,
        patient_id=f"P{number:03d}",
        sex=sex,
        birth=first - timedelta(days=int(age * 365.25)),
        site=int(random.random() < 0.45),
        weight=float(np.clip(random.normal(1.0 if sex == "M" else 0.93, 0.05), 0.84, 1.14)),
        fat=float(np.clip(random.beta(2, 2.6) + (0.12 if steatosis else 0), 0.05, 1)),
        liver_hu=float(np.clip(liver, 50, 128)),
        burden=str(random.choice(["none", "mimics", "metastases"], p=[0.38, 0.2, 0.42])),
        response=float(random.choice([0.72, 1.0, 1.35], p=[0.4, 0.2, 0.4]) * random.uniform(0.92, 1.08)),
        exam_dates=tuple(first + timedelta(days=int(gaps[:k].sum())) for k in range(exams)),
    )
