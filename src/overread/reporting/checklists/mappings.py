"""Two other checklists, told by the items of CLAIM that answer them.

STARD  The items of STARD 2015 (Bossuyt et al., BMJ 2015;351:h5527). STARD-AI (Sounderajah et al., Nature Medicine 2025)
       adds and changes 18 items on dataset practices, the AI test, and fairness; its numbering was not at hand, so those are
       told by topic at the end, approximately.
TRIPOD The 27 main items of TRIPOD+AI (Collins et al., BMJ 2024;385:e078378), without their lettered parts.

Subjects are paraphrased. A mapped item has the least settled status of the CLAIM items that it rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from overread.reporting.checklists.claim import AUTHOR, FILLED, NOT_APPLICABLE, ClaimRow, as_csv

STARD_NOTE = (
    "Items of STARD 2015 by their numbers; what STARD-AI (2025) adds is told by topic, approximately, without its numbers. "
    "Subjects are paraphrased; read the official lists beside this one."
)
TRIPOD_NOTE = (
    "Main items of TRIPOD+AI (2024) without their lettered parts; the fit of single parts is approximate. "
    "Subjects are paraphrased; read the official list beside this one."
)
_STARD: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("1", "a study of diagnostic accuracy, said in the title", (1,)),
    ("2", "structured abstract", (2,)),
    ("3", "background, intended use and role of the test", (3,)),
    ("4", "aims and hypotheses", (4,)),
    ("5", "prospective or retrospective", (5,)),
    ("6", "eligibility", (8,)),
    ("7", "how eligible patients were recognised", (8,)),
    ("8", "setting, place and dates", (7, 8)),
    ("9", "consecutive, random or convenience series", (8,)),
    ("10a", "index test, to be repeated", (9, 22, 25)),
    ("10b", "reference standard, to be repeated", (14,)),
    ("11", "why this reference standard", (15,)),
    ("12a", "thresholds of the index test, and whether set beforehand", (26, 38)),
    ("12b", "thresholds of the reference standard", (14,)),
    ("13a", "what the readers of the index test knew", (17,)),
    ("13b", "what those who gave the reference standard knew", (16, 17)),
    ("14", "methods of estimating accuracy", (28, 29)),
    ("15", "results that are no clear answer", (12,)),
    ("16", "missing data", (12,)),
    ("17", "analyses of variability", (30, 37)),
    ("18", "intended sample size", (21,)),
    ("19", "flow of patients, diagram", (35,)),
    ("20", "characteristics of patients", (36,)),
    ("21", "severity of disease; other diagnoses in those without", (36,)),
    ("22", "time between index test and reference standard", (14,)),
    ("23", "cross table of index test and reference standard", (38, 39)),
    ("24", "accuracy with its precision", (37, 38)),
    ("25", "harm from the tests", ()),
    ("26", "limitations", (40,)),
    ("27", "implications for practice", (41,)),
    ("28", "registration", (34,)),
    ("29", "protocol", (42,)),
    ("30", "funding", (44,)),
    ("AI, by topic", "sources, preparation and partitions of the data", (7, 9, 13, 19, 20)),
    ("AI, by topic", "version of the model, its input and output", (22, 23)),
    ("AI, by topic", "testing inside and outside the source of the training data", (32, 33)),
    ("AI, by topic", "bias and fairness: performance by group", (37,)),
    ("AI, by topic", "errors of the model and what follows from them", (39,)),
    ("AI, by topic", "availability of code, model and data", (43,)),
)
_TRIPOD: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("1", "title", (1,)),
    ("2", "abstract", (2,)),
    ("3", "background", (3,)),
    ("4", "objectives", (4, 6)),
    ("5", "data: sources and dates", (7,)),
    ("6", "participants: setting, eligibility, treatment", (8,)),
    ("7", "preparation of the data", (9, 10)),
    ("8", "outcome and how it was assessed", (14, 16)),
    ("9", "predictors: here the images", (10, 13)),
    ("10", "sample size", (21,)),
    ("11", "missing data", (12,)),
    ("12", "analytical methods", (19, 22, 25, 26, 28)),
    ("13", "class imbalance", (25,)),
    ("14", "fairness", (37,)),
    ("15", "output of the model", (22,)),
    ("16", "training against evaluation data", (20, 32)),
    ("17", "ethics approval", ()),
    ("18", "open science: funding, protocol, registration, data and code", (34, 42, 43, 44)),
    ("19", "involvement of patients and public", ()),
    ("20", "participants: flow and characteristics", (35, 36)),
    ("21", "numbers in model development", (35,)),
    ("22", "the full model", (22, 43)),
    ("23", "performance, with intervals and by group", (37, 38)),
    ("24", "updating of the model", ()),
    ("25", "interpretation", (41,)),
    ("26", "limitations", (40,)),
    ("27", "use of the model in care", (41,)),
)
_STUDY = {"22": "study.interval"}  # items that an answer about the study settles better than the item of CLAIM
_STUDY_TRIPOD = {"17": "study.ethics"}


@dataclass(frozen=True)
class MappedRow:
    """An item of another checklist and what of CLAIM answers it."""

    number: str
    subject: str
    claim: tuple[int, ...]
    status: str
    proof: tuple[str, ...]


def stard_rows(rows: Sequence[ClaimRow], answers: dict[str, str]) -> list[MappedRow]:
    return _mapped(_STARD, rows, answers, _STUDY)


def tripod_rows(rows: Sequence[ClaimRow], answers: dict[str, str]) -> list[MappedRow]:
    return _mapped(_TRIPOD, rows, answers, _STUDY_TRIPOD)


def _mapped(
    table: Sequence[tuple[str, str, tuple[int, ...]]], rows: Sequence[ClaimRow], answers: dict[str, str], of_study: dict[str, str]
) -> list[MappedRow]:
    by_number = {row.item.number: row for row in rows}
    found = []
    for number, subject, claim in table:
        parts = [by_number[n] for n in claim]
        status, proof = _status(parts), tuple(dict.fromkeys(p for part in parts for p in part.proof))
        if name := of_study.get(number):
            status, proof = (FILLED, (f"claim.toml: {name}",)) if answers.get(name) else (AUTHOR, ())
        found.append(MappedRow(number, subject, claim, status, proof))
    return found


def _status(parts: Sequence[ClaimRow]) -> str:
    """Not applicable only where all are; with no item of CLAIM only the author knows."""
    found = {part.status for part in parts}
    if not found or AUTHOR in found:
        return AUTHOR
    return FILLED if FILLED in found else NOT_APPLICABLE


def mapped_csv(rows: Sequence[MappedRow], note: str) -> str:
    head = ("item", "subject (paraphrased)", "status", "answered by CLAIM items", "proof")
    body = [(r.number, r.subject, r.status, ", ".join(map(str, r.claim)) or "none", "; ".join(r.proof)) for r in rows]
    return as_csv(head, [*body, ("", note, "", "", "")])
