"""The 44 items of CLAIM 2024 in our own short words.

Source: Tejani AS et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update, Radiology:
Artificial Intelligence 2024;6(4):e240300. The official wording is licensed without derivatives and is not repeated here;
read it beside this list.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300"


@dataclass(frozen=True)
class Item:
    """number and part of the manuscript; subject in our words; ask is what only the author can add."""

    number: int
    part: str
    subject: str
    ask: str


def _items(part: str, first: int, *rows: tuple[str, str]) -> tuple[Item, ...]:
    return tuple(Item(first + k, part, subject, ask) for k, (subject, ask) in enumerate(rows))


ITEMS: tuple[Item, ...] = (
    *_items(
        "Title and abstract", 1,
        ("a study of AI, and of which kind", "where title or abstract says it."),
        ("structured abstract", "where the abstract says design, data, partitions, results and availability."),
    ),
    *_items(
        "Introduction", 3,
        ("background, intended use and role", "the clinical question, and the part the model would play."),
        ("aims and hypotheses", "the aims; a hypothesis declared before the seal was opened is filled in by itself."),
    ),
    *_items(
        "Methods: design", 5,
        ("prospective or retrospective", "which of the two, and when the study was planned."),
        ("goal of the study", "for example making a model, feasibility, non-inferiority; screening, triage, diagnosis."),
    ),
    *_items(
        "Methods: data", 7,
        ("sources of the data, and their fit to the intended patients", "where the images come from, and whom they represent."),
        ("inclusion and exclusion", "criteria applied before the images came here, place, dates, and how cases were sampled."),
        ("preprocessing", "steps done before the images came here, if any."),
        ("choice of parts of the data", "series, slices or regions chosen by hand, by whom and how."),
        ("de-identification", "how identifiers were removed, and checked, where it was not done with this program."),
        ("missing data", "why values are missing, and why the way of handling them is right."),
        ("image acquisition", "scanners and protocols, where the files do not tell."),
    ),
    *_items(
        "Methods: reference standard", 14,
        ("how the reference standard was obtained", "method in enough detail to repeat it."),
        ("why this reference standard", "the reason, and its known errors."),
        ("who annotated", "how many readers, their training and experience, the tool."),
        ("how the test cases were annotated", "instructions, and differences from the training cases."),
        ("agreement among readers and within one", "what was measured, and how disagreement was settled."),
    ),
    *_items(
        "Methods: partitions", 19,
        ("assignment to partitions", "reasons for the shares, if any."),
        ("level at which partitions are apart", "anything that joins partitions and cannot be seen in the files."),
        ("size of the test", "the size that was wanted, and its reason."),
    ),
    *_items(
        "Methods: model", 22,
        ("description of the model", "reasons for this model, if any."),
        ("software", "other software that was used."),
        ("how weights began", "data and licence of pretrained weights, if any."),
    ),
    *_items(
        "Methods: training", 25,
        ("details of training", "reasons for the loss, if it was chosen by hand."),
        ("choice of the final model", "other models that were tried, here or elsewhere."),
        ("ensembles", "how several models were joined, where it was done elsewhere."),
    ),
    *_items(
        "Methods: evaluation", 28,
        ("metrics and what they mean for patients", "why these metrics fit the clinical question."),
        ("uncertainty and significance", "tests done elsewhere."),
        ("robustness and sensitivity", "analyses done elsewhere."),
        ("explanations of answers", "method and how it was checked, where explanations were made elsewhere."),
        ("evaluation on internal data", "how training and test cases differ, beyond what the files show."),
        ("testing on external data", "source of the external cases, and how they differ."),
        ("trial registration", "registry and number, or why there is none."),
    ),
    *_items(
        "Results: data", 35,
        ("numbers included and excluded", "exclusions before the images came here."),
        ("patients by partition", "characteristics that the sheet does not hold."),
    ),
    *_items(
        "Results: performance", 37,
        ("performance with uncertainty, partition by partition and for subgroups", "subgroups examined elsewhere."),
        ("diagnostic accuracy, calibration, best and worst groups", "best and worst groups, where examined elsewhere."),
        ("analysis of failures", "what the wrong answers would have done to patients."),
    ),
    *_items(
        "Discussion", 40,
        ("limitations", "what the drafted list does not say."),
        ("implications for practice", "intended use, and what has to be shown before it."),
    ),
    *_items(
        "Other information", 42,
        ("protocol and technical details", "where the protocol can be read."),
        ("availability of software, model and data", "where they can be had, and under which licence."),
        ("funding", "who paid, and what part the funder had."),
    ),
)  # fmt: skip
