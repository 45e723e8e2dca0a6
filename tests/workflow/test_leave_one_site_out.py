"""Folds that are sites: pooled over all, by site in the table, and a site with one class does not spoil the mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from cohort.folders import write_png, write_sheet
from overread.record.files import write_text
from overread.workflow.evaluate import evaluate
from overread.workflow.init import init


def test_each_site_has_its_row(tmp_path: Path) -> None:
    rows = []
    for k in range(30):
        write_png(tmp_path / "images" / f"f{k:02d}.png", k + 1)
        ill = (k // 3) % 2 if k % 3 else 1  # at site a everybody is ill
        rows.append([f"f{k:02d}.png", f"P-{k}", "ill" if ill else "well", "abc"[k % 3]])
    sheet = write_sheet(tmp_path / "labels.csv", ["file", "patient", "label", "site"], rows)
    project = init(tmp_path / "p", tmp_path / "images", sheet=sheet, positive="ill", split_by="site")
    links = (project.path / "cohort" / "private" / "link.csv").read_text().splitlines()[1:]
    number = {line.split(",")[0]: int(line.split(",")[3][1:3]) for line in links}
    for fold in project.folds:
        lines = ["case_id,ill,well"]
        for case in project.cohort(fold).of("internal"):
            k = number[case.case_id]
            p = 0.2 + 0.01 * k + 0.3 * ((k // 3) % 2)
            lines.append(f"{case.case_id},{p!r},{1 - p!r}")
        write_text(project.run("first", fold).predictions / "internal" / "answers.csv", "\n".join(lines) + "\n")
    result = evaluate(project, "first", "internal", declare={"hypothesis": "h", "primary_endpoint": "auc"}, panels=False)
    assert [(row["by"], row["level"]) for row in result["folds"]] == [("site", "a"), ("site", "b"), ("site", "c")]
    areas = [next(s for s in row["scores"] if s["metric"] == "auc")["interval"] for row in result["folds"]]
    assert areas[0]["estimate"] is None
    assert result["auc"]["ill"].estimate == pytest.approx((areas[1]["estimate"] + areas[2]["estimate"]) / 2)
    assert "site" in {row["column"] for row in result["subgroups"]}
