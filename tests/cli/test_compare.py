"""`overread compare` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from overread.cli.main import main


def evaluation(path: Path, gain: float) -> str:
    random = np.random.default_rng(4)
    rows = []
    for i in range(60):
        p = float(1 / (1 + np.exp(-(random.normal() + gain * (i % 2)))))
        rows.append(
            {"case_id": f"c{i}", "patient_id": f"p{i}", "truth": "sick" if i % 2 else "well",
             "answer": {"well": 1 - p, "sick": p}, "called": ["sick" if p >= 0.5 else "well"], "scores": {}, "reasons": {}}
        )  # fmt: skip
    question = {"task": "classification", "classes": ["well", "sick"], "positive": "sick"}
    content = {"question": question, "partition": "answers", "is_phantom": True, "notes": [], "cases": rows}
    path.write_text(json.dumps(content))
    return str(path)


def test_in_words_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = evaluation(tmp_path / "old.json", 0.5), evaluation(tmp_path / "new.json", 2.0)
    assert main(["compare", old, new]) == 0
    said = capsys.readouterr().out
    assert "Compared on the given answers: 60 cases of 60 patients. Reference: old." in said
    assert "PHANTOM" in said
    assert "new is better than old in this score." in said.replace("\n", " ")
    assert "DeLong's test" in said
    assert max(len(line) for line in said.splitlines()) <= 100
    assert main(["compare", old, new, "--endpoint", "auc", "--endpoint", "accuracy", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [c["endpoint"] for c in result["comparisons"]] == ["auc/sick", "accuracy/all"]
    assert main(["compare", old, new, "--endpoint", "brier", "--test", "wilcoxon", "--out", str(tmp_path / "c.json")]) == 0
    assert "Hodges-Lehmann" in json.loads((tmp_path / "c.json").read_text())["comparisons"][0]["difference"]["method"]


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare"]) == 2
    assert "overread compare A.json B.json" in capsys.readouterr().err
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_readers_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(5)
    (tmp_path / "truth.csv").write_text("\n".join(["id,truth", *(f"c{i},{i % 2}" for i in range(40))]) + "\n")
    (tmp_path / "model.csv").write_text(
        "\n".join(["id,p", *(f"c{i},{1 / (1 + np.exp(-random.normal() - 2 * (i % 2))):.3f}" for i in range(40))]) + "\n"
    )
    rows = [f"c{i},{r},{random.normal() + (i % 2):.2f},{int(random.random() < 0.5)}" for r in ("ANNA", "BEN") for i in range(40)]
    (tmp_path / "reads.csv").write_text("\n".join(["id,reader,score,call", *rows]) + "\n")
    reads, truth, model = (str(tmp_path / f"{name}.csv") for name in ("reads", "truth", "model"))
    assert main(["compare", "--readers", reads, "--truth", truth, "--model", model]) == 0
    said = capsys.readouterr().out
    assert "40 cases of 40 patients, readers ANNA, BEN." in said
    assert "mean of the readers" in said
    assert "Cohen's kappa" in said
    assert "No patients were named" in said
    assert main(["compare", "--readers", reads, "--again", reads]) == 0
    assert "first with second read" in capsys.readouterr().out
