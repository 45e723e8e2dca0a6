"""Reader agreement against scikit-learn, statsmodels and the worked example of Shrout and Fleiss."""

from __future__ import annotations

import numpy as np
import pytest

from overread.metrics import readers

SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


@pytest.mark.parametrize(("power", "weights"), [(0, None), (1, "linear"), (2, "quadratic")])
@pytest.mark.parametrize("seed", range(3))
def test_kappa_is_scikit_learns(power: int, weights: str | None, seed: int) -> None:
    from sklearn.metrics import cohen_kappa_score

    random = np.random.default_rng(seed)
    first = random.integers(0, 4, 60)
    second = np.where(random.random(60) < 0.6, first, random.integers(0, 4, 60))
    metric = readers.kappa(4, power)
    assert metric.from_sums is not None
    found = metric.from_sums(readers.pair_terms(first, second, 4).sum(0))
    assert found == pytest.approx(cohen_kappa_score(first, second, weights=weights), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_fleiss_kappa_is_statsmodels(seed: int) -> None:
    from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, 40)
    ratings = np.where(random.random((40, 5)) < 0.7, truth[:, None], random.integers(0, 3, (40, 5)))
    found = readers.fleiss_from_sums(readers.fleiss_terms(ratings, 3).sum(0))
    assert found == pytest.approx(fleiss_kappa(aggregate_raters(ratings)[0]), abs=1e-12)


def test_icc_is_the_published_example() -> None:
    """Shrout and Fleiss 1979, Table 4: ICC(2, 1) = 0.29."""
    assert readers.icc_from_sums(readers.icc_terms(SHROUT_FLEISS).sum(0)) == pytest.approx(0.2898, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_icc_follows_from_an_analysis_of_variance(seed: int) -> None:
    import pandas as pd
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    random = np.random.default_rng(seed)
    values = random.normal(50, 10, (25, 1)) + random.normal(0, 4, (25, 3)) + np.array([0, 2, -1])
    long = pd.DataFrame([(i, j, v) for i, row in enumerate(values) for j, v in enumerate(row)], columns=["case", "reader", "y"])
    squares = anova_lm(ols("y ~ C(case) + C(reader)", long).fit())["mean_sq"]
    cases, between, error = squares["C(case)"], squares["C(reader)"], squares["Residual"]
    expected = (cases - error) / (cases + 2 * error + 3 * (between - error) / 25)
    found = readers.icc_from_sums(readers.icc_terms(values - values.mean()).sum(0))
    assert found == pytest.approx(expected, abs=1e-10)


def test_agreement_on_one_category_alone_is_not_defined() -> None:
    same = np.zeros(10, int)
    metric = readers.kappa(2, 0)
    assert metric.from_sums is not None
    assert np.isnan(metric.from_sums(readers.pair_terms(same, same, 2).sum(0)))
