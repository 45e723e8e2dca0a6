"""The sheet as spreadsheets write it."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest

from cohort.folders import write_sheet
from overread.cohort.columns import infer_roles, label_kind
from overread.cohort.sheet import as_date, read_sheet, refuse_rounded_ids
from overread.core.errors import OverreadError


def text_sheet(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_and_a_byte_order_mark(tmp_path: Path, delimiter: str) -> None:
    text = delimiter.join(["id", "label"]) + "\n" + delimiter.join(["007", "ill"]) + "\n" + delimiter.join(["08", ""]) + "\n"
    sheet = read_sheet(text_sheet(tmp_path / "a.csv", text, "utf-8-sig"))
    assert sheet.columns == ("id", "label")
    assert sheet.rows == (("007", "ill"), ("08", None))


def test_latin_letters_and_the_excel_hint(tmp_path: Path) -> None:
    sheet = read_sheet(text_sheet(tmp_path / "a.csv", "sep=;\nid;Befund\n1;Erguß\n", "latin-1"))
    assert sheet.column("Befund") == ["Erguß"]
    assert any("Windows-1252" in note for note in sheet.notes)


def test_decimal_commas(tmp_path: Path) -> None:
    sheet = read_sheet(text_sheet(tmp_path / "a.csv", "id;burden\n1;3,5\n2;1.234,25\n3;\n"))
    assert sheet.numbers("burden") == [3.5, 1234.25, None]
    assert "column 'burden' has decimal commas" in sheet.notes


def test_a_comma_that_can_mean_two_things_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OverreadError, match=r"column 'volume': '1,234' can mean 1234 or 1.234"):
        read_sheet(text_sheet(tmp_path / "a.csv", 'id,volume\n1,"1,234"\n2,"2,500"\n'))


def test_blank_cells_and_words_for_blank_are_missing(tmp_path: Path) -> None:
    sheet = read_sheet(text_sheet(tmp_path / "a.csv", "id,label\n1,\n2,n/a\n3,0\n4,  \n"))
    assert sheet.column("label") == [None, None, "0", None]
    assert any("taken as missing: 'n/a' (1 cell)" in note for note in sheet.notes)


def test_two_header_rows_in_text(tmp_path: Path) -> None:
    text = "Patient,Findings,,Findings 2,\n,effusion,nodule,side,size\nA1,0,1,left,12\nA2,1,0,right,7\n"
    sheet = read_sheet(text_sheet(tmp_path / "a.csv", text))
    assert sheet.columns == ("Patient", "effusion", "nodule", "side", "size")
    assert len(sheet.rows) == 2


def test_one_header_row_with_blank_names_is_not_two(tmp_path: Path) -> None:
    sheet = read_sheet(text_sheet(tmp_path / "a.csv", "id,label,\nA1,ill,x\nA2,well,x\nA3,ill,x\n"))
    assert sheet.columns == ("id", "label", "column 3")
    assert len(sheet.rows) == 3


def test_a_title_line_is_passed_over(tmp_path: Path) -> None:
    sheet = read_sheet(text_sheet(tmp_path / "a.csv", "Export of 3 May,,\nid,label,age\n1,ill,4\n"))
    assert sheet.columns == ("id", "label", "age")
    assert "taken as a title" in sheet.notes[0]


def workbook(path: Path, rows: list[list[object]]) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    return book


def test_a_workbook_with_merged_header_padded_ids_and_dates(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["ID", "Findings", None, "Exam"],
        [None, "effusion", "nodule", None],
        [7, 1, 0, datetime(2024, 3, 1)],
        [12, None, 1, datetime(2024, 4, 2)],
    ]
    book = workbook(tmp_path / "a.xlsx", rows)
    book.active.merge_cells("B1:C1")
    for row in (3, 4):
        book.active.cell(row, 1).number_format = "00000"
    book.save(tmp_path / "a.xlsx")
    sheet = read_sheet(tmp_path / "a.xlsx")
    assert sheet.columns == ("ID", "effusion", "nodule", "Exam")
    assert sheet.column("ID") == ["00007", "00012"]
    assert sheet.column("effusion") == ["1", None]
    assert sheet.dates("Exam") == [date(2024, 3, 1), date(2024, 4, 2)]


def test_a_formula_without_a_saved_result_is_refused(tmp_path: Path) -> None:
    workbook(tmp_path / "a.xlsx", [["id", "label"], ["1", "=A2"]]).save(tmp_path / "a.xlsx")
    with pytest.raises(OverreadError, match="cell B2, holds a formula whose result was not saved"):
        read_sheet(tmp_path / "a.xlsx")


def test_two_filled_worksheets_ask_which(tmp_path: Path) -> None:
    book = workbook(tmp_path / "a.xlsx", [["id", "label"], ["1", "ill"]])
    other = book.create_sheet("old")
    other.append(["id"])
    other.append(["1"])
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(OverreadError, match=r"2 filled worksheets: Sheet, old(?s:.*)a\.xlsx#Sheet"):
        read_sheet(tmp_path / "a.xlsx")
    assert read_sheet(Path(f"{tmp_path / 'a.xlsx'}#old")).columns == ("id",)


def test_accessions_that_a_spreadsheet_rounded_are_refused_with_the_fix(tmp_path: Path) -> None:
    sheet = read_sheet(text_sheet(tmp_path / "a.csv", "accession;label\n1,23457E+15;ill\n1,23457E+15;well\n"))
    with pytest.raises(
        OverreadError, match=r"line 2, column 'accession': '1,23457E\+15' is an identifier(?s:.*)import this column as Text"
    ):
        refuse_rounded_ids(sheet, "accession")
    workbook(tmp_path / "a.xlsx", [["accession"], [1234567890123456], [1234567890123457]]).save(tmp_path / "a.xlsx")
    with pytest.raises(OverreadError, match="turned into a number and rounded"):
        refuse_rounded_ids(read_sheet(tmp_path / "a.xlsx"), "accession")


def test_sixteen_digits_kept_as_text_are_fine(tmp_path: Path) -> None:
    sheet = read_sheet(
        write_sheet(tmp_path / "a.csv", ["accession"], [["1234567890123456"], ["1234567890123457"], ["1234567890123458"]])
    )
    refuse_rounded_ids(sheet, "accession")
    padded = read_sheet(
        write_sheet(tmp_path / "b.csv", ["accession"], [["1234567890123450"], ["1234567890123460"], ["1234567890123470"]])
    )
    with pytest.raises(OverreadError, match="rounded"):
        refuse_rounded_ids(padded, "accession")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2024-12-31", date(2024, 12, 31)),
        ("31.12.2024", date(2024, 12, 31)),
        ("45657", date(2024, 12, 31)),
        ("31/12/2024", date(2024, 12, 31)),
        ("12/31/2024", date(2024, 12, 31)),
        ("05/06/2024", None),
        ("soon", None),
    ],
)
def test_dates(cell: str, expected: date | None) -> None:
    assert as_date(cell) == expected


def test_a_date_that_can_be_two_is_refused(tmp_path: Path) -> None:
    sheet = read_sheet(write_sheet(tmp_path / "a.csv", ["id", "exam"], [["1", "05/06/2024"]]))
    with pytest.raises(OverreadError, match="line 2, column 'exam': '05/06/2024' is not a date that can be read"):
        sheet.dates("exam")


@pytest.mark.parametrize(
    ("name", "message"), [("a.xls", "save it as .xlsx or .csv"), ("b.csv", "is empty"), ("c.csv", "no rows below")]
)
def test_sheets_that_cannot_be_read(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "a.xls").write_bytes(b"x")
    (tmp_path / "b.csv").write_bytes(b"")
    (tmp_path / "c.csv").write_text("id,label\n")
    with pytest.raises(OverreadError, match=message):
        read_sheet(tmp_path / name)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OverreadError, match=r"more than one column called 'label'"):
        read_sheet(write_sheet(tmp_path / "a.csv", ["id", "label", "Label"], [["1", "2", "3"]]))


def test_roles_are_inferred_with_a_reason(tmp_path: Path) -> None:
    header = ["file", "Patient ID", "Age", "Sex", "Hospital", "exam_date", "diagnosis", "burden", "split", "md5", "remark"]
    rows = [
        [
            f"{k}.png",
            f"X{k}",
            40 + k,
            "F",
            "north",
            "2024-01-02",
            "ill" if k % 2 else "well",
            k * 1.5,
            "train",
            f"{k:032x}",
            f"r{k}",
        ]
        for k in range(12)
    ]
    sheet = read_sheet(write_sheet(tmp_path / "a.csv", header, rows))
    roles = infer_roles(sheet, "file", {})
    assert (roles.patient, roles.date, roles.site) == ("Patient ID", "exam_date", "Hospital")
    assert roles.covariates == {"age": "Age", "sex": "Sex"}
    assert roles.labels == {"diagnosis": "classes", "burden": "numbers"}
    assert roles.splits == ("split",)
    assert set(roles.unused) == {"md5", "remark"}
    assert roles.reasons["Patient ID"] == "by the column's name"


def test_kinds_of_labels(tmp_path: Path) -> None:
    rows = [[k % 2, f"{k}.5", "a" if k % 3 else "b", k % 4 + 1, f"text {k}"] for k in range(40)]
    sheet = read_sheet(write_sheet(tmp_path / "a.csv", ["yes", "number", "word", "grade", "free"], rows))
    assert [label_kind(sheet, c) for c in sheet.columns] == ["yes-no", "numbers", "classes", "classes", None]
