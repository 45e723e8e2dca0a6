"""A number says how far it can be trusted."""

from overread.core.score import Interval


def test_a_doubtful_interval_says_so_wherever_it_is_printed() -> None:
    doubtful = Interval(
        0.9, 0.8, 1.0, "bootstrap", 10, 10, reason="fewer than 20 patients: expect this interval to be too narrow"
    )
    assert "too narrow" in str(doubtful)
    sure = Interval(0.9, 0.8, 1.0, "bootstrap", 60, 41)
    assert str(sure) == "0.900 (95% 0.800 to 1.000, bootstrap, 60 cases, 41 patients)"
