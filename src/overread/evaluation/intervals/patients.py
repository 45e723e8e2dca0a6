"""Which cases belong to one patient: the unit that is sampled, and so the unit of every interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Patients:
    """number (N,) of the patient of each case, from 0; count of patients."""

    number: np.ndarray
    count: int

    @classmethod
    def of(cls, ids: Sequence[str] | np.ndarray) -> Patients:
        names, number = np.unique(np.asarray(ids, dtype=str), return_inverse=True)
        return cls(number.reshape(-1), len(names))

    @property
    def cases(self) -> int:
        return len(self.number)

    @property
    def are_clustered(self) -> bool:
        """Cases outnumber patients: forms that take cases as independent must not be used."""
        return self.count < self.cases

    def select(self, which: np.ndarray) -> Patients:
        """Those of the chosen cases alone; `which` is (N,) bool."""
        names, number = np.unique(self.number[which], return_inverse=True)
        return Patients(number.reshape(-1), len(names))

    def totals(self, terms: np.ndarray) -> np.ndarray:
        """(N, K) numbers per case -> (P, K) their sums per patient."""
        if not self.count:
            return np.zeros((0, terms.shape[1]))
        order = np.argsort(self.number, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(self.number[order]) > 0])
        return np.add.reduceat(terms[order], starts, axis=0)
