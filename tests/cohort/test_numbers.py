"""What is a number: in a sheet, in a header, in the rules that choose images."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.cohort.numbers import as_number
from overread.cohort.patterns import fits
from overread.cohort.sheet import is_number, read_sheet, to_number
from overread.cohort.sheet_facts import _value
from overread.core.errors import OverreadError


@pytest.mark.parametrize(
    ("text", "plain", "in_a_sheet"),
    [
        ("1.5", 1.5, 1.5),
        (" -3 ", -3.0, -3.0),
        ("2e3", 2000.0, 2000.0),
        (".5", 0.5, 0.5),
        ("1,5", None, 1.5),
        ("1.234,5", None, 1234.5),
        ("1,234.5", None, None),
        ("1.234.567", None, None),
        ("5 mm", None, None),
        ("1_000", None, None),
        ("nan", None, None),
        ("inf", None, None),
        ("1e999", None, None),
        ("", None, None),
    ],
)
def test_a_number_is_a_number(text: str, plain: float | None, in_a_sheet: float | None) -> None:
    assert as_number(text) == plain
    assert as_number(text, decimal_comma=True) == in_a_sheet
    assert is_number(text) == (in_a_sheet is not None)
    if in_a_sheet is not None:
        assert to_number(text) == in_a_sheet
        assert float(_value(text.strip())) == in_a_sheet  # a covariate of the sheet


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_python_writes_is_read_back(value: float) -> None:
    assert as_number(repr(value)) == value


def test_a_decimal_comma_is_no_number_in_a_rule() -> None:
    assert fits("1.5", "<= 2")
    assert not fits("1,5", "<= 2")
    assert not fits("5 mm", "<= 9")


def test_commas_between_thousands_are_still_refused(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text('id,dose\na,"1,234"\nb,"2,500"\n')
    with pytest.raises(OverreadError, match=r"'1,234' can mean 1234 or 1\.234"):
        read_sheet(sheet)
