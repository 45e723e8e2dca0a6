"""Items of CLAIM that read otherwise, or do not apply, where the answer is an image: nobody annotates its truth."""

from __future__ import annotations

from overread.core.score import Interval
from overread.reporting.checklists.known import Known, Maker, member_file, partly, whole
from overread.reporting.given import Record, ReportInput
from overread.reporting.of_images import is_unpaired, own_truth
from overread.reporting.words import listed

NO_CASE = "A model that makes images answers no case, so there is no answer to test; "


def of_images(given: ReportInput) -> dict[int, Maker]:
    """Number of the item -> what is known of it, in place of what is asked of other studies; empty for those."""
    task = given.question["task"]
    if given.question.get("guides"):  # somebody drew the masks along which images are made
        return _SYNTHESIS
    if task == "synthesize":
        return {**dict.fromkeys((14, 15, 16, 17, 18), _no_truth), **_SYNTHESIS}
    if is_unpaired(given.question):
        return {**dict.fromkeys((14, 15, 16, 17, 18), _no_truth), **_COMPARED}
    return _TRUTH if own_truth(given.question) else {}


def _absent(reason: str, *proof: str) -> Known:
    return Known(reason, proof, does_not_apply=True)


def _no_truth(given: ReportInput) -> Known:
    return _absent(own_truth(given.question), "report.html#question")


def _standard(given: ReportInput) -> Known:
    return whole(own_truth(given.question), "report.html#question")


def _reason(given: ReportInput) -> Known:
    return _absent("No standard was chosen: an answer that is an image is compared with the true image.", "report.html#question")


def _nobody(given: ReportInput) -> Known:
    return _absent("Nobody annotated: the truth is an image of the case itself.", "report.html#question")


def _readers(given: ReportInput) -> Known:
    return _absent("No reader took part in the truth, so none could disagree.", "report.html#question")


def _record(given: ReportInput) -> Record:
    return next((part.record for part in given.made.values() if part.record), {})


def _measures(given: ReportInput) -> Known:
    found = _record(given)
    if not found:
        return Known()
    names = listed([row["name"] for row in found["fidelity"]["scores"]])
    text = f"Computed over all made images: {names}; by features of {found['fidelity']['network']}."
    return partly(text, "report.html#made", member_file(given, "fidelity.json"))


def _intervals(given: ReportInput) -> Known:
    found = _record(given)
    methods = dict.fromkeys(row["interval"]["method"] for row in found["fidelity"]["scores"]) if found else {}
    return whole(f"Intervals: {listed(list(methods))}." if methods else "", "report.html#made")


def _not_tested(given: ReportInput) -> Known:
    return _absent(f"{NO_CASE}made images are compared with real tuning images as a whole.", "report.html#made")


def _not_elsewhere(given: ReportInput) -> Known:
    return _absent(f"{NO_CASE}a model trained on made images can be tested elsewhere.", "report.html#made")


def _nearness(given: ReportInput) -> Known:
    found = _record(given)
    rows = found["fidelity"]["scores"] if found else ()
    told = listed([f"{row['name']} {Interval.from_dict(dict(row['interval'])).short}" for row in rows])
    return partly(f"Beside real tuning images: {told}." if rows else "", "report.html#made")


def _no_diagnosis(given: ReportInput) -> Known:
    return _absent("No diagnosis is made, so none can be accurate or calibrated.", "report.html#question")


def _copies(given: ReportInput) -> Known:
    return partly("Copies of training images were looked for." if _record(given) else "", "report.html#made")


_TRUTH: dict[int, Maker] = {14: _standard, 15: _reason, 16: _nobody, 17: _nobody, 18: _readers}
_COMPARED: dict[int, Maker] = {28: _measures, 29: _intervals, 37: _nearness, 38: _no_diagnosis, 39: _copies}
_SYNTHESIS: dict[int, Maker] = {**_COMPARED, 32: _not_tested, 33: _not_elsewhere}
