"""Features of many numbers drawn in two: principal components, t-SNE and UMAP, the same at every call.

PCA    Pearson, Philosophical Magazine 2, 559 (1901); distances shrink, and never grow
t-SNE  van der Maaten and Hinton, JMLR 9, 2579 (2008)
UMAP   McInnes, Healy and Melville, arXiv:1802.03426 (2018)
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

SEED = 0
FEWEST = 10  # cases; below, neighbours mean nothing
MOST_COMPONENTS = 50  # before t-SNE and UMAP
PERPLEXITY = 30.0
NEIGHBOURS = 15
INSTALL = "pip install umap-learn"
TITLES = {"pca": "Principal components", "tsne": "t-SNE", "umap": "UMAP"}


@dataclass(frozen=True)
class Projection:
    """One picture of the cases.

    points      (N, 2); None where it could not be made
    parameters  what it was made with
    told        share of the variance that each axis of principal components holds
    refusal     why there is none
    """

    name: str
    points: np.ndarray | None
    parameters: dict[str, Any]
    told: tuple[float, ...] = ()
    refusal: str = ""

    def as_dict(self) -> dict[str, Any]:
        points = None if self.points is None else [[round(float(v), 4) for v in point] for point in self.points]
        return {
            "name": self.name,
            "title": TITLES[self.name],
            "points": points,
            "parameters": self.parameters,
            "told": list(self.told),
            "refusal": self.refusal,
        }


def standardised(features: np.ndarray, of: np.ndarray | None = None) -> np.ndarray:
    """(N, F) -> (N, G) float64 features of mean 0 and spread 1; those that are the same in all cases are left out.

    of  the cases whose mean and spread are taken; the features themselves where None
    """
    known = np.asarray(features if of is None else of, dtype=np.float64)
    mean, spread = known.mean(0), known.std(0)
    kept = spread > 1e-6 * max(float(spread.max(initial=0.0)), 1e-12)
    return np.asarray((features[:, kept] - mean[kept]) / spread[kept], dtype=np.float64)


def projections(features: np.ndarray) -> list[Projection]:
    """All three of (N, F) features."""
    values = standardised(features)
    if len(values) < FEWEST or values.shape[1] < 2:
        why = f"{len(values)} cases are too few" if len(values) < FEWEST else "the features hardly differ between cases"
        return [Projection(name, None, {}, refusal=why) for name in TITLES]
    few = PCA(min(MOST_COMPONENTS, *values.shape), svd_solver="full").fit(values)
    components = few.transform(values)
    shares = tuple(round(float(v), 4) for v in few.explained_variance_ratio_[:2])
    return [Projection("pca", components[:, :2], {"features": values.shape[1]}, shares), _tsne(components), _umap(components)]


def _tsne(components: np.ndarray) -> Projection:
    perplexity = float(min(PERPLEXITY, (len(components) - 1) / 3))
    parameters = {"perplexity": round(perplexity, 1), "components": components.shape[1], "start": "PCA", "seed": SEED}
    made = TSNE(2, perplexity=perplexity, init="pca", random_state=SEED, n_jobs=1).fit_transform(components)
    return Projection("tsne", made, parameters)


def _umap(components: np.ndarray) -> Projection:
    neighbours = min(NEIGHBOURS, len(components) - 1)
    parameters = {"neighbours": neighbours, "least distance": 0.1, "components": components.shape[1], "seed": SEED}
    try:
        umap = import_module("umap")
    except ImportError:
        return Projection("umap", None, parameters, refusal=f"UMAP is not installed: `{INSTALL}`, then run this again")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its compiler, and that the seed allows one process only
        made = umap.UMAP(n_neighbors=neighbours, min_dist=0.1, init="pca", random_state=SEED, n_jobs=1).fit_transform(components)
    return Projection("umap", np.asarray(made), parameters)
