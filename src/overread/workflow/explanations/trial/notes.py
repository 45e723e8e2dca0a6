"""What has to be said beside the results of a trial."""

from __future__ import annotations

from collections.abc import Sequence

from overread.explanation.trial.posed import Posed
from overread.workflow.explanations.subject import Subject

SEAL = (
    "Tried on tuning cases only. The internal test stays sealed: who chooses a method by its maps of the test has chosen by the "
    "test."
)
ABOUT = {
    "classification": "of two classes the positive one, of several the likeliest",
    "regression": "the first quantity",
    "segmentation": "the first structure that is answered",
}
OBJECT = "the surest object that is answered"
RISES_OR_FALLS = (
    "A number may rise as well as fall when parts of an image go. Deletion asks whether it falls, insertion whether it rises: a "
    "method that shows how much a voxel matters, not in which direction (saliency, SmoothGrad), can fail there for that alone."
)
AROUND_AN_ANSWER = (
    "The score that is explained is that of the voxels, or of the object, that the model answered. So any map of it lies around "
    "that place, and localisation tells more of the answer than of the map."
)


def notes_of(subject: Subject, posed: Sequence[Posed], empty: int) -> list[str]:
    """Which cases were asked what, and what follows from it.

    empty  cases of which there was nothing to ask
    """
    task, of_cases = subject.project.question.task, len(subject.cohort.of("tuning"))
    notes = [SEAL, f"Each case is asked one question: {ABOUT.get(task, OBJECT)}."]
    if len(subject.cases) < of_cases:
        notes.append(
            f"Tried on {len(subject.cases)} of {of_cases} tuning cases, drawn by the hash of their pseudonyms, classes in turn, "
            "other patients before second cases."
        )
    if empty:
        notes.append(f"In {empty} of {len(subject.cases)} cases the model finds nothing to ask about; these are left out.")
    if task == "regression":
        notes.append(RISES_OR_FALLS)
    if posed[0].asked.task.serves != "image":
        notes.append(AROUND_AN_ANSWER)
    if len(posed[0].voices) > 1:
        notes.append(f"The map of the ensemble is the mean of the maps of its {len(posed[0].voices)} members by their shares.")
    return notes
