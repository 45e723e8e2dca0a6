"""Which cases to label next."""

import numpy as np
import pytest

from overread.core.errors import OverreadError
from overread.evaluation.learning.acquisition import SHORTLIST, propose

RANDOM = np.random.default_rng(5)


def positions(found):
    return [each.position for each in found]


def test_by_uncertainty_the_least_sure_come_first_and_the_unknown_last():
    unsure = [0.1, np.nan, 0.9, 0.5]
    found = propose(unsure, np.zeros((4, 2)), np.zeros((0, 2)), 4, by="uncertainty")
    assert positions(found) == [2, 3, 0, 1]
    assert all(each.distance is None for each in found)


def test_by_diversity_each_is_the_farthest_from_what_is_labelled_or_taken():
    """Against the definition, worked out without shortcuts."""
    pool, known = RANDOM.normal(size=(40, 3)), RANDOM.normal(size=(6, 3))
    found = propose(RANDOM.random(40), pool, known, 7, by="diversity")
    mean, spread = known.mean(0), known.std(0)
    scaled, centres = (pool - mean) / spread, [*((known - mean) / spread)]
    for each in found:
        gaps = [min(np.sqrt(((row - centre) ** 2).mean()) for centre in centres) for row in scaled]
        assert each.position == int(np.argmax(gaps))
        assert each.distance == pytest.approx(max(gaps))
        centres.append(scaled[each.position])


def test_both_takes_the_far_ones_among_the_unsure():
    unsure = RANDOM.random(60)
    pool, known = RANDOM.normal(size=(60, 4)), RANDOM.normal(size=(10, 4))
    found = propose(unsure, pool, known, 5)
    shortlist = set(np.argsort(-unsure)[: 5 * SHORTLIST].tolist())
    assert set(positions(found)) <= shortlist
    assert positions(found) != positions(propose(unsure, pool, known, 5, by="uncertainty"))


def test_twins_are_not_both_proposed_while_others_are_left():
    pool = np.array([[0.0, 0.0], [0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    found = propose([0.9, 0.9, 0.8, 0.8], pool, np.zeros((0, 2)), 3)
    assert len({tuple(pool[k]) for k in positions(found)}) == 3


def test_nothing_labelled_begins_with_the_least_sure():
    found = propose([0.2, 0.7, 0.1], RANDOM.normal(size=(3, 2)), np.zeros((0, 2)), 3)
    assert positions(found)[0] == 1
    assert sorted(positions(found)) == [0, 1, 2]


def test_a_feature_that_varies_in_the_pool_alone_is_what_is_most_unlike():
    """Metal, where no labelled film shows any."""
    known = np.hstack([RANDOM.normal(size=(50, 4)), np.zeros((50, 1))])
    pool = np.hstack([RANDOM.normal(size=(20, 4)), np.zeros((20, 1))])
    pool[13, 4] = 100
    assert positions(propose(np.full(20, 0.5), pool, known, 5, by="diversity"))[0] == 13


def test_a_feature_that_never_varies_tells_nothing():
    known, pool = RANDOM.normal(size=(6, 2)), RANDOM.normal(size=(9, 2))
    with_constant = [np.hstack([rows, np.full((len(rows), 1), 7.0)]) for rows in (pool, known)]
    found = propose(np.zeros(9), pool, known, 4, by="diversity")
    assert positions(propose(np.zeros(9), *with_constant, 4, by="diversity")) == positions(found)


def test_chance_is_the_same_for_the_same_seed():
    unsure, pool = RANDOM.random(30), np.zeros((30, 1))
    one, again, other = (propose(unsure, pool, pool, 9, "chance", seed) for seed in (1, 1, 2))
    assert one == again != other


def test_more_than_there_are_gives_all():
    assert len(propose([0.1, 0.2], np.eye(2), np.eye(2), 50)) == 2


@pytest.mark.parametrize(("count", "by", "what"), [(0, "both", "are none"), (3, "luck", "cannot be proposed by 'luck'")])
def test_nonsense_is_refused(count, by, what):
    with pytest.raises(OverreadError, match=what):
        propose([0.1], np.eye(1), np.eye(1), count, by)
