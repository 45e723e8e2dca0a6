"""The codes of the cases of a run: training and tuning, never those of the internal test, whose images are their own truths."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.load import load_image
from overread.cohort.progress import Progress, counted
from overread.cohort.some_cases import some_of
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.reading.codes import AT_ONCE, Coder, Codes

PARTITIONS = ("training", "tuning")


@dataclass(frozen=True)
class Coded:
    """Cases and their codes, row by row.

    partitions  of the cases
    cut         how many images are larger than what the network reads at once, so that only their middle is coded
    """

    cases: tuple[Case, ...]
    partitions: tuple[str, ...]
    codes: Codes
    cut: int = 0

    @property
    def patients(self) -> tuple[str, ...]:
        return tuple(case.patient_id for case in self.cases)

    def row(self, case_id: str) -> int:
        """Where a case stands; one without a code is refused."""
        for row, case in enumerate(self.cases):
            if case.case_id == case_id:
                return row
        raise OverreadError(
            f"Case {case_id} is not among the {len(self.cases)} training and tuning cases with a code.",
            "take pseudonyms from the column case_id of codes.csv; images of the internal test stay sealed",
        )

    def of(self, partition: str) -> Coded:
        rows = [row for row, name in enumerate(self.partitions) if name == partition]
        sd = None if self.codes.sd is None else self.codes.sd[rows]
        kept = tuple(self.cases[row] for row in rows)
        return Coded(kept, (partition,) * len(rows), Codes(self.codes.mean[rows], sd))


def coded(coder: Coder, cohort: Cohort, limit: int | None, progress: Progress | None) -> Coded:
    """Encode patients' images; limit: the most cases of each partition, the same ones every time."""
    several = [(part, case) for part in PARTITIONS for case in _cases(cohort, part, limit)]
    parts, cases = zip(*several, strict=True)
    means, sds, n_cut = [], [], 0
    seen = counted(_windows(coder, cohort, cases), len(cases), "Encoding training and tuning cases", progress)
    while some := list(islice(seen, AT_ONCE)):
        found = coder.encode([window for window, _ in some])
        n_cut += sum(not is_whole for _, is_whole in some)
        means.append(found.mean)
        if found.sd is not None:
            sds.append(found.sd)
    return Coded(cases, parts, Codes(np.concatenate(means), np.concatenate(sds) if sds else None), n_cut)


def _windows(coder: Coder, cohort: Cohort, cases: Sequence[Case]) -> Iterator[tuple[np.ndarray, bool]]:
    for case in cases:
        yield coder.window(load_image(cohort, case))


def _cases(cohort: Cohort, partition: str, limit: int | None) -> tuple[Case, ...]:
    known = [case for case in cohort.of(partition) if not case.is_made]
    found = some_of(known, cohort.question, limit)
    if len(found) < 2:
        raise OverreadError(
            f"Codes are compared among cases, and the {partition} partition has {len(found)}.",
            "give a larger --limit" if len(known) > len(found) else "make a project with more cases",
        )
    return found


def as_csv(found: Coded) -> str:
    """One row for each case: pseudonym, partition, the numbers of its code; of clouds their spreads too."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    codes = found.codes
    names = [f"code_{k + 1}" for k in range(codes.mean.shape[1])]
    names += [] if codes.sd is None else [name.replace("code", "spread") for name in names]
    writer.writerow(["case_id", "partition", *names])
    numbers = codes.mean if codes.sd is None else np.concatenate([codes.mean, codes.sd], axis=1)
    for case, partition, row in zip(found.cases, found.partitions, numbers, strict=True):
        writer.writerow([case.case_id, partition, *(f"{value:.6g}" for value in row)])
    return text.getvalue()


def plain(value: Any) -> float:
    """A number for a record, of six digits."""
    return float(f"{float(value):.6g}")
