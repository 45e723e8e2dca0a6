"""Errors cross from one process to another in the same words."""

from __future__ import annotations

import pickle

import pytest

from overread.core.errors import OverreadError, Refused, Stopped

SAID = [OverreadError("what", "next"), Refused("code", "what", "next"), Refused("code", "what"), Stopped("what")]


@pytest.mark.parametrize("error", SAID)
def test_an_error_says_the_same_in_another_process(error: OverreadError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))
