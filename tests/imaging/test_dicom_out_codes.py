"""Names become coded concepts: the user's, the table's, or a private code that says so."""

from __future__ import annotations

import pytest
from pydicom.sr import _concepts_dict

from overread.core.errors import OverreadError
from overread.imaging.dicom.codes import CATEGORIES, PRIVATE_SCHEME, Code, concept_of, parse_codes, private_notes, table


def test_the_table_agrees_with_the_dictionary_of_the_standard() -> None:
    """Oracle: pydicom's dictionary of the context groups of PS3.16."""
    known: dict[str, set[str]] = {}
    for entry in _concepts_dict.concepts["SCT"].values():
        for value, (meaning, _) in entry.items():
            known.setdefault(value, set()).add(meaning.lower())
    concepts = table()
    assert len(concepts) > 200
    found = 0
    for name, concept in concepts.items():
        assert concept.code.value.isdigit(), name
        assert _is_sctid(concept.code.value), f"{name}: {concept.code.value} is not a SNOMED CT identifier"
        assert concept.category in CATEGORIES
        if concept.code.value in known:
            found += 1
            words = " ".join(known[concept.code.value])
            assert any(word[:4] in words for word in concept.code.meaning.lower().split()), (name, words)
    assert found > 0.8 * len(concepts)


def _is_sctid(value: str) -> bool:
    """The last digit of a SNOMED CT identifier is a Verhoeff check digit."""
    multiply = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ]
    permute = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    while len(permute) < 8:
        permute.append([permute[1][k] for k in permute[-1]])
    check = 0
    for place, digit in enumerate(reversed(value)):
        check = multiply[check][permute[place % 8][int(digit)]]
    return check == 0


@pytest.mark.parametrize(
    ("name", "value", "side"),
    [
        ("liver", "10200004", None),
        ("Liver", "10200004", None),
        ("left kidney", "64033007", "Left"),
        ("kidney_right", "64033007", "Right"),
        ("rib_left_4", "25523003", "Left"),
        ("lungs", "39607008", None),
        ("heart_ventricle_left", "87878005", None),
        ("vertebrae_L3", "36470004", None),
        ("Pleural Effusion", "60046008", None),
    ],
)
def test_names_as_people_write_them(name: str, value: str, side: str | None) -> None:
    concept = concept_of(name)
    assert concept.code.value == value
    assert not concept.is_private
    assert (concept.side.meaning if concept.side else None) == side


def test_an_unknown_name_gets_a_private_code_that_says_the_name() -> None:
    concept = concept_of("zystische Läsion 3")
    assert concept.code.scheme == PRIVATE_SCHEME
    assert concept.code.meaning == "zystische Läsion 3"
    assert concept.code.value.isascii()
    assert len(concept.code.value) <= 16
    assert concept_of("strange tumour").category == "abnormality"
    assert concept_of("grade", otherwise="finding").category == "finding"
    assert private_notes({"a": concept_of("liver")}) == ()
    (note,) = private_notes({"blob": concept_of("blob"), "liver": concept_of("liver")})
    assert "'blob'" in note
    assert "[codes]" in note


def test_codes_of_the_project_come_first() -> None:
    given = parse_codes({"liver": "RADLEX RID58 liver", "blob": "SCT 52988006 Lesion"})
    assert given["liver"] == Code("RID58", "RADLEX", "liver")
    assert concept_of("liver", given).code.scheme == "RADLEX"
    assert concept_of("blob", given).code.value == "52988006"
    assert concept_of("liver", given).category == "structure"
    with pytest.raises(OverreadError, match=r'expected a scheme, a value and a meaning, e\.g\. "SCT 10200004 Liver"'):
        parse_codes({"liver": "liver"})
