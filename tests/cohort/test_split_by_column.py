"""Leave one site out, and the newest patients as the test: nobody is known from training, in either way."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort.folders import write_png, write_sheet
from overread.cohort.by_column import by_level, newest
from overread.cohort.index import read_index, read_splits
from overread.core.errors import OverreadError
from overread.record.files import read_json
from overread.workflow.init import init
from overread.workflow.update import update

DAY = date(2020, 1, 1)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc")), min_size=4, max_size=40))
def test_a_fold_is_one_site_and_a_patient_has_one_fold(cases: list[tuple[int, str]]) -> None:
    groups, levels = [f"p{g}" for g, _ in cases], [s for _, s in cases]
    try:
        place, names = by_level(groups, levels, "site")
    except OverreadError:
        return
    kept = [(g, s, p) for g, s, p in zip(groups, levels, place, strict=True) if p is not None]
    assert all(names[p] == s for _, s, p in kept)
    assert all(len({p for h, _, p in kept if h == g}) == 1 for g, _, _ in kept)
    assert {g for g, _, _ in kept} == set(groups), "everybody keeps at least one case"


def test_what_is_no_site_is_refused() -> None:
    with pytest.raises(OverreadError, match="1 of 3 cases have nothing in 'site'"):
        by_level(["a", "b", "c"], ["x", None, "y"], "site")
    with pytest.raises(OverreadError, match="All cases have the same 'site'"):
        by_level(["a", "b"], ["x", "x"], "site")
    many = [str(k) for k in range(60)]
    with pytest.raises(OverreadError, match="60 different values"):
        by_level(many, many, "name")
    with pytest.raises(OverreadError, match="its fold would be empty"):
        by_level(["a", "a", "a", "b"], ["x", "x", "y", "x"], "site")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), min_size=4, max_size=40), st.integers(1, 29))
def test_training_knows_neither_patient_nor_period_of_the_test(cases: list[tuple[int, int]], cut: int) -> None:
    groups, dates = [f"p{g}" for g, _ in cases], [DAY + timedelta(days=d) for _, d in cases]
    try:
        test, after = newest(groups, dates, DAY + timedelta(days=cut), 0.2)
    except OverreadError:
        return
    new, old = ({g for g, t in zip(groups, test, strict=True) if t is side} for side in (True, False))
    assert not new & old
    assert all(day >= after for t, day in zip(test, dates, strict=True) if t is not False)
    assert all(day < after for t, day in zip(test, dates, strict=True) if t is False)


def test_the_newest_share_and_what_is_refused() -> None:
    groups, dates = [f"p{k}" for k in range(10)], [DAY + timedelta(days=k) for k in range(10)]
    test, after = newest(groups, dates, None, 0.2)
    assert [g for g, t in zip(groups, test, strict=True) if t] == ["p8", "p9"]
    assert after == DAY + timedelta(days=8)
    with pytest.raises(OverreadError, match="0 of 10 patients have their first case on 2030-01-01 or later"):
        newest(groups, dates, date(2030, 1, 1), 0.2)
    with pytest.raises(OverreadError, match="1 of 10 cases have no date"):
        newest(groups, [*dates[:9], None], None, 0.2)


def sites(folder: Path, patients: int = 18) -> tuple[Path, Path]:
    """One film per patient, three sites in turn; the first patient was at two sites; every third patient is ill."""
    rows = []
    for k in range(patients):
        write_png(folder / "images" / f"f{k:02d}.png", k + 1)
        ill = (k // 3) % 2 if k % 3 else 1  # site 0 has ill patients alone
        rows.append([f"f{k:02d}.png", f"P-{k}", "ill" if ill else "well", "abc"[k % 3], f"20{10 + k:02d}-05-01"])
    for j in range(2):
        write_png(folder / "images" / f"x{j}.png", 100 + j)
        rows.append([f"x{j}.png", "P-1", "well", "b" if j else "c", f"20{11 + 15 * j}-05-02"])
    return folder / "images", write_sheet(folder / "labels.csv", ["file", "patient", "label", "site", "date"], rows)


def test_leave_one_site_out(tmp_path: Path) -> None:
    images, sheet = sites(tmp_path)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill", split_by="site")
    said = str(project.summary)
    splits = read_splits(tmp_path / "p")
    assert splits["rule"] == {"by": "site", "levels": ["a", "b", "c"]}
    site = {row.case.case_id: row.case.site for row in read_index(tmp_path / "p")}
    assert {site[c] for c, k in splits["fold"].items() if k == 1} == {"b"}
    assert "one fold for each site" in said
    assert "all 6 cases of 'a' are alike (ill)" in said
    flow = read_json(tmp_path / "p" / "cohort" / "flow.json")
    assert flow[-1]["reasons"] == {"examined elsewhere too: another site than the rest of the patient": 1}
    cohort = project.cohort(1)
    assert {c.site for c in cohort.of("internal")} == {"b"}
    assert {c.site for c in (*cohort.of("training"), *cohort.of("tuning"))} == {"a", "c"}


def test_the_newest_patients_are_the_internal_test(tmp_path: Path) -> None:
    images, sheet = sites(tmp_path)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill", split_after="2023-01-01")
    cohort = project.cohort()
    assert len(cohort.of("internal")) == 5
    assert "patients first seen on 2023-01-01 or later are the internal test" in (tmp_path / "p/project.toml").read_text()
    flow = read_json(tmp_path / "p" / "cohort" / "flow.json")
    assert flow[-1]["reasons"] == {"after the date of the split, of a patient from before": 1}
    by = init(tmp_path / "q", images, sheet=sheet, positive="ill", split_by="date", internal=0.25)
    assert len({c.patient_id for c in by.cohort().of("internal")}) == 4
    with pytest.raises(OverreadError, match="--folds and --split-by divide"):
        init(tmp_path / "r", images, sheet=sheet, positive="ill", split_by="site", folds=3)
    with pytest.raises(OverreadError, match="this is no date"):
        init(tmp_path / "r", images, sheet=sheet, positive="ill", split_after="last spring")


@pytest.mark.parametrize("asked", [{"split_by": "site"}, {"split_after": "2023-01-01"}])
def test_an_update_keeps_to_the_rule(tmp_path: Path, asked: dict[str, str]) -> None:
    images, sheet = sites(tmp_path)
    init(tmp_path / "p", images, sheet=sheet, positive="ill", **asked)
    before = read_splits(tmp_path / "p")
    write_png(images / "n1.png", 300)
    write_png(images / "n2.png", 301)
    with open(sheet, "a", encoding="utf-8") as file:
        file.write("n1.png,NEW-1,ill,b,2026-01-01\nn2.png,NEW-2,well,c,2012-01-01\n")
    project = update(tmp_path / "p")
    after = read_splits(tmp_path / "p")
    old, now = (s.get("fold") or s["partition"] for s in (before, after))
    assert {c: now[c] for c in old} == old
    assert project.summary is not None
    assert project.summary.facts["changed"]["new_cases"] == 2
    new = sorted(str(p) for c, p in now.items() if c not in old)
    assert new == ["1", "2"] if "split_by" in asked else "internal" in new
    if "split_by" in asked:
        write_png(images / "n3.png", 302)
        with open(sheet, "a", encoding="utf-8") as file:
            file.write("n3.png,NEW-3,ill,d,2026-01-01\n")
        with pytest.raises(OverreadError, match="the site 'd', for which there is no fold"):
            update(tmp_path / "p")
