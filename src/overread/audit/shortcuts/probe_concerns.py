"""What a probe that tells the label means, in words."""

from __future__ import annotations

from collections.abc import Sequence

from overread.audit.audited import Audited
from overread.audit.concern import Concern, several
from overread.audit.shortcuts.probed import Probed
from overread.audit.shortcuts.targets import severity

SEEN = {
    "metadata": "headers and columns of the sheet",
    "edges": "borders and corners of the images",
    "background": "the background of the images",
    "intensities": "statistics of the intensities over the whole image",
    "geometry": "size, spacing and storage of the images",
}
INNOCENT = {
    "metadata": "Age, sex or a protocol chosen for a suspected disease truly go with it; a column that was derived from the "
    "label goes with it too, and is no input of a model.",
    "edges": "Anatomy that reaches the border may truly differ with disease (shape of the thorax, an arm laid differently).",
    "background": "The outline of the patient, tubes and cables may truly differ with disease.",
    "intensities": "Disease that is itself bright or dark and large shows here, so this alone proves nothing.",
    "geometry": "The field of view may be chosen for the size of the patient, which may go with disease.",
}
ADVICE = {
    "metadata": "Look at the strongest columns in the table; match or balance them between groups, or report scores within them.",
    "edges": "Look at the marks found, crop or mask borders and corners alike in all images, and train again.",
    "background": "Mask or crop what lies around the patient alike in all images, and train again to see what is left.",
    "intensities": "Compare with a model's score: one that is hardly better has learned little more. Normalise each image.",
    "geometry": "Bring all images to one size and spacing from the same kind of source, and ask why they differed.",
}
PROOF_OF_LITTLE = ("intensities",)  # where disease itself may show: to be known, no alarm


def concerns_of(audited: Audited, probed: Sequence[Probed]) -> list[Concern]:
    """One concern for each probe that tells a label, with all labels that it tells."""
    found = []
    for probe in SEEN:
        tells = [p for p in probed if p.probe == probe and p.tells and p.kind == "label"]
        if tells:
            found.append(_concern(probe, tells, severity(audited)))
    return found


def _concern(probe: str, tells: Sequence[Probed], severe: str) -> Concern:
    areas = several([f"{p.target}: AUC {p.interval}" for p in tells], between="; ")
    columns = sorted({name for p in tells for name in p.strongest})
    largest = max(p.p or 0.0 for p in tells)
    return Concern(
        key=f"shortcut-{probe}",
        subject="shortcut",
        severity="note" if probe in PROOF_OF_LITTLE else severe,
        statement=f"A small model tells the label from {SEEN[probe]} alone: {areas}."
        + (f" Strongest columns: {', '.join(columns[:5])}." if columns else ""),
        meaning="A network may learn this in place of the disease. Its score would then not hold where this is different, "
        "though it looks good on every part of these images.",
        certainty=f"Chance alone shows this in at most {largest:.2g} of clean cohorts (over all probes of the label). "
        f"{INNOCENT[probe]}",
        advice=ADVICE[probe],
        evidence={"probe": probe, "rows": [p.as_dict() for p in tells]},
    )


def unsaid(audited: Audited, probed: Sequence[Probed]) -> list[Concern]:
    """What could not be looked at, said aloud."""
    labels = [p for p in probed if p.kind == "label"]
    if not labels:
        why = "none is known" if audited.question is None else "none is open: truths under seal are not looked at"
        return [_note("shortcut-no-label", f"No label could be probed for shortcuts; {why}.", [])]
    few = {p.target: p.reason for p in labels if p.reason.startswith(("too few", "no case"))}
    few |= {p.target: f"too few patients of {several(p.left_out)}" for p in labels if p.levels and p.left_out}
    if not few:
        return []
    told = several([f"{name}: {reason}" for name, reason in few.items()], between="; ")
    return [_note("shortcut-too-few", f"Shortcuts could not be looked for in all of the labels. {told}.", list(few))]


def _note(key: str, statement: str, targets: list[str]) -> Concern:
    return Concern(
        key=key,
        subject="shortcut",
        severity="note",
        statement=statement,
        meaning="Silence about shortcuts is then no sign that there are none.",
        certainty="Certain.",
        advice="Gather more patients of each kind, or open the truths of training cases, and audit again.",
        evidence={"targets": targets},
    )
