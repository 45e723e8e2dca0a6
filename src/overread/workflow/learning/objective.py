"""By what trainings are compared on tuning cases: a score that has a better side, and a paired test."""

from __future__ import annotations

from overread.core.errors import OverreadError
from overread.evaluation.comparing.endpoints import Endpoint
from overread.metrics.table import default_endpoint
from overread.workflow.project import Project


def objective(project: Project) -> Endpoint:
    """The primary endpoint of the project, else the usual one of the task; known before anything is trained."""
    question = project.question
    endpoint = Endpoint.of(question, project.settings.evaluation.primary_endpoint or default_endpoint(question))
    if endpoint.metric.better not in ("higher", "lower", "zero"):
        raise OverreadError(
            f"By {endpoint.metric.name} nothing can be compared: it has no better and worse.",
            "set evaluation.primary_endpoint in project.toml",
        )
    return endpoint
