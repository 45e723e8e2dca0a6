"""The Van Dyke study: 5 radiologists, 114 patients, 45 of them with an aortic dissection, two kinds of MRI, ratings 1 to 5.

Van Dyke, White, Obuchowski, Geisinger, Lorig, Meziane: Cine MRI in the diagnosis of thoracic aortic dissection, RSNA 1993;
the example of the reader study software of the University of Iowa. `PRINTED` holds what that program, OR-DBM MRMC 2.51 by
Schartz, Hillis, Pesce and Berbaum, prints for these ratings: trapezoidal areas, factorial design, covariances by the
jackknife, readers and cases random.
"""

from __future__ import annotations

import numpy as np

HEALTHY = (  # per reader a pair of digits per patient: single spin echo, cine
    "13 23 23 12 52 12 12 12 13 12 11 13 41 12 12 12 12 12 12 11 11 11 31 11 34 12 11 23 11 42 12 11 14 13 12 33 11 22 13 21 "
    "12 12 22 33 33 11 31 11 13 33 33 11 11 13 14 11 12 24 22 11 12 14 11 34 34 22 11 11 11",
    "23 32 22 22 22 22 22 22 23 32 22 22 52 22 22 21 32 22 22 22 21 22 22 22 43 22 22 22 22 32 22 21 22 22 21 22 22 22 22 22 "
    "23 21 22 22 23 22 22 22 22 22 22 22 22 22 23 22 22 43 32 22 22 32 22 22 22 22 21 22 22",
    "22 24 22 22 32 52 13 12 22 22 41 21 41 23 22 22 32 22 21 22 11 21 32 21 44 11 11 35 21 22 11 11 22 21 22 42 12 21 12 42 "
    "12 21 11 13 22 21 21 21 22 23 33 21 11 13 22 12 11 22 23 12 13 54 11 42 24 12 21 12 21",
    "12 12 11 11 11 11 33 11 12 11 11 11 11 12 12 11 11 11 12 11 21 11 11 11 23 12 11 12 11 22 11 11 11 11 12 12 11 11 12 11 "
    "11 11 11 11 12 11 12 11 32 31 12 12 11 11 11 11 11 12 11 12 11 11 11 33 12 13 12 11 11",
    "32 52 13 21 12 12 12 12 21 22 22 12 21 11 11 12 22 22 11 12 32 22 21 12 13 12 12 23 12 11 22 11 12 22 32 12 21 21 12 11 "
    "12 31 31 33 22 11 12 12 23 13 12 11 12 12 12 12 11 32 42 12 22 33 11 22 13 23 11 11 31",
)
DISEASED = (
    "55 53 55 55 45 55 55 55 44 55 55 55 45 34 44 23 43 55 55 55 55 55 55 55 13 55 45 43 55 45 55 55 34 54 55 55 15 13 55 55 "
    "55 45 45 55 11",
    "55 33 55 55 55 55 55 45 22 55 55 55 43 44 24 22 24 55 54 55 55 55 54 55 22 45 32 33 55 45 55 53 22 44 22 55 25 22 55 55 "
    "55 55 35 55 22",
    "55 42 55 55 55 55 55 55 55 55 55 55 53 45 24 31 54 55 55 55 55 55 55 55 22 55 23 23 55 55 55 54 23 55 55 55 25 23 54 55 "
    "55 55 55 55 21",
    "55 54 55 55 55 55 55 55 54 55 55 55 54 55 55 15 55 55 55 55 55 55 55 55 54 55 45 54 44 45 55 55 35 55 55 55 15 23 55 55 "
    "55 55 55 55 55",
    "55 22 55 24 55 55 55 55 15 54 45 55 43 54 23 23 33 55 55 55 55 55 55 45 12 45 41 33 23 22 15 53 12 55 14 55 15 13 53 55 "
    "55 35 55 55 23",
)
PRINTED = {
    "areas": ((0.91964573, 0.85877617, 0.90386473, 0.97310789, 0.82979066),
              (0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169)),
    "components": (0.00080229, 0.00034661, 0.00034407, 0.00023903),
    "difference": 0.04380032, "error": 0.02075, "freedom": 15.26, "p": 0.0517, "low": -0.00036, "high": 0.08796,
    "first": (0.89703704, 0.03317360, 12.74, 0.82522360, 0.96885048),
    "second": (0.94083736, 0.02156637, 12.71, 0.89413783, 0.98753689),
}  # fmt: skip


def van_dyke() -> tuple[np.ndarray, np.ndarray]:
    """(114,) bool truth and (2, 5, 114) ratings: condition, reader, patient."""
    pairs = [[[int(d) for d in pair] for pair in f"{h} {d}".split()] for h, d in zip(HEALTHY, DISEASED, strict=True)]
    ratings = np.array(pairs).transpose(2, 0, 1)
    return np.arange(114) >= 69, ratings.astype(float)
