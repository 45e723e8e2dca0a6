"""Which columns tell patients into groups, and which are left to be refused by the bands."""

import pytest

from overread.core.case import Case
from overread.evaluation.groups.bands import bands
from overread.workflow.scoring.groups import group_columns


def cases(column: str, values: list) -> list[Case]:
    return [Case(f"c{k:03d}", f"p{k:03d}", f"e{k:03d}", (), covariates={column: v}) for k, v in enumerate(values)]


def test_ages_of_dicom_are_kept_however_many_there_are() -> None:
    listed = cases("PatientAge", [f"{20 + k:03d}Y" for k in range(40)])
    column = group_columns(listed)["PatientAge"]
    found = bands("PatientAge", list(column.values()), [case.patient_id for case in listed])
    assert found.order == ("18 to 39", "40 to 59")


@pytest.mark.parametrize("name", ["PatientName", "birth_date", "mrn"])
def test_columns_called_like_an_identifier_are_left_out(name) -> None:
    assert group_columns(cases(name, ["a", "b"] * 4)) == {}


def test_a_column_of_one_value_divides_nothing() -> None:
    assert group_columns(cases("sex", ["F", None, "", "F"])) == {}


def test_sites_and_scanners_come_with_the_columns() -> None:
    listed = [Case(f"c{k}", f"p{k}", f"e{k}", (), site="ab"[k % 2], scanner="one") for k in range(4)]
    assert group_columns(listed) == {"site": {"c0": "a", "c1": "b", "c2": "a", "c3": "b"}}
