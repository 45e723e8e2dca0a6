"""A report of images: the answer beside what was read, the gain with its interval, the cases that are least alike."""

import re
from dataclasses import replace

from overread.core.question import Question
from overread.core.score import Score
from overread.evaluation.pictures.case import PictureCase
from overread.evaluation.results import About, evaluate
from overread.evaluation.rules import Rules
from overread.metrics.pictures import rows
from overread.metrics.pictures.score import ChannelScores
from overread.reporting.report import render
from overread.reporting.sections.errors import wrong_rows
from overread.reporting.sections.pictures import picture_section
from overread.reporting.sections.results import distributions, score_rows
from reporting import fakes

RESTORE = Question("restore", ("ct",), given=("ct",), degradation="low_dose:0.25")


def evaluation(question: Question = RESTORE) -> dict:
    cases = []
    for k in range(12):
        scores = {metric.key: Score(0.9 - 0.01 * k) for metric in rows.SCORES}
        if rows.is_of_another_image(question):
            scores |= {metric.key: Score(0.85) for metric in rows.OF_READ}
            scores |= {metric.key: Score(0.05 - 0.01 * k) for metric in rows.GAINS}
        within = {"lesion": {metric.key: Score(0.7 + 0.01 * k) for metric in (rows.SSIM, rows.PSNR, rows.MAE)}}
        cases.append(PictureCase(f"C-{k}", f"P-{k}", {"ct": ChannelScores(scores, 10.0, 11.0, "HU", within)}))
    return evaluate(question, cases, {}, Rules(resamples=200), About("tuning")).as_dict()


def test_what_was_read_stands_beside_the_answer_and_out_of_the_table_of_scores() -> None:
    found = evaluation()
    section = picture_section(found)
    assert section is not None
    first = section["rows"][0]
    assert (first.name, first.read, first.answer, first.gain) == ("Structural similarity", "0.850", "0.845", "-0.005")
    assert first.interval.startswith("-0.0")
    assert len(section["rows"]) == len(rows.SCORES)
    assert [structure for structure, _ in section["within"]] == ["lesion"] * 3
    assert len(score_rows(found)) == len(rows.SCORES)
    assert len(distributions(found)) == len(rows.SCORES)
    found["scores"][-1]["role"] = "primary"
    assert len(score_rows(found)) == len(rows.SCORES) + 1


def test_other_answers_have_no_such_section() -> None:
    assert picture_section({"task": "segmentation"}) is None
    plain = evaluation(Question("autoencode", ("ct",), given=("ct",)))
    assert picture_section({**plain, "within": []}) is None


def test_the_worst_cases_are_those_least_alike() -> None:
    wrong = wrong_rows(evaluation()["cases"], RESTORE.as_dict())
    assert [w.row["case_id"] for w in wrong[:2]] == ["C-11", "C-10"]
    assert wrong[0].state == "worse than what was read"
    assert wrong[-1].state == "better than what was read"
    assert (wrong[0].truth, wrong[0].answer, wrong[0].told) == ("mean 10", "mean 11", "SSIM ct 0.790")
    alone = wrong_rows(evaluation(Question("autoencode", ("ct",), given=("ct",)))["cases"])
    assert alone[0].state == "unlike the truth"


def test_the_page_shows_it() -> None:
    base = fakes.regression()
    found = {**base.evaluations["tuning"], **evaluation(), "curves": {}, "subgroups": []}
    page = render(replace(base, question={**base.question, **RESTORE.as_dict()}, evaluations={"tuning": found}))
    assert "Interval and method of the gain" in page
    assert "Within structures alone" in page
    assert re.search(r"Range: PSNR and SSIM count errors against a range", page)
