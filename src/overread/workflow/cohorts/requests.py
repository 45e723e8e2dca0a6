"""What `init` was asked, taken from the settings of a project: for another look, or for patients from elsewhere."""

from __future__ import annotations

from overread.cohort.ask import OBJECT_TASKS, Said
from overread.cohort.folders import headers_path
from overread.cohort.labels.values import How
from overread.cohort.request import Request
from overread.workflow.project import Project


def request_of(project: Project) -> Request:
    """The request that finds a project's own images and truths again."""
    s = project.settings
    task, question = s.question.task, s.question
    said = Said(
        task,
        s.truth.label_columns,
        s.truth.names,
        question.guides or question.classes,
        question.values,
        question.positive,
        question.exclusive,
        question.ordered,
        question.units,
        question.unit,
        question.sided,
        objects=question.objects if task in OBJECT_TASKS else None,
        others=question.others,
        answer=question.classes if task == "translate" and not question.conditions else (),
        degradation=question.degradation,
        by_class=task == "synthesize" and bool(question.conditions),
        by_mask=bool(question.guides),
        unpaired=question.conditions if task == "translate" else (),
    )
    sheet = project.path / s.truth.sheet if s.truth.sheet else None
    return Request(
        (project.path / s.images.folder).resolve(),
        project.truth_folder if project.truth_folder != project.images_folder else None,
        sheet,
        said,
        s.truth.id_column,
        s.cohort.group_by,
        s.cohort.site,
        s.cohort.scanner,
        s.cohort.date,
        s.cohort.side,
        s.cohort.covariates,
        s.images.series,
        question.aggregation,
        question.index_exam,
        s.images.gaps,
        s.images.tilt,
        How(s.truth.reader, s.truth.method, s.truth.date),
        headers=headers_path(project.path),
        channels=s.images.channels,
        missing=s.images.missing,
    )
