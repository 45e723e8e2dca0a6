"""`overread select`: candidates are compared inside the open cases, and the winner is trained; the test has no part in it.

With the seal opened afterwards by `overread evaluate`, the estimate is that of nested cross-validation: what chose is not what
is reported (Varma and Simon, BMC Bioinformatics 2006;7:91; Cawley and Talbot, JMLR 2010;11:2079).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.metrics.table import default_endpoint, resolve_endpoint
from overread.workflow.learning.candidates import candidates_of
from overread.workflow.learning.selection import Selection
from overread.workflow.learning.series import budget_of, keep_order, kept_order, refuse_taken, settings_digest
from overread.workflow.plan import with_overrides
from overread.workflow.project import Project
from overread.workflow.unfit import refuse_unscored

ORDER = "select.json"
DEFAULT_NAME = "selected"
INNER = 3
FIXED = ("cohort", "budget", "overrides", "candidates", "inner", "seed", "endpoint", "settings")


def select(
    project: Project,
    tries: Sequence[str] = (),
    inner: int | None = None,
    fold: int | str | None = None,
    minutes: float | None = None,
    epochs: int | None = None,
    name: str | None = None,
    overrides: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Choose and train; one selection for each outer fold. What is trained already is kept.

    tries      "training.learning_rate=1e-3,1e-4"; candidates are all combinations
    inner      parts into which the open cases are divided by patient
    fold       for a project of folds: the outer fold held out, or "all"
    overrides  settings of every candidate
    What an earlier call was told and this one is not, is taken from there.
    """
    refuse_unscored(project)
    numbers = project.folds_asked(fold)
    home = project.run(name or DEFAULT_NAME)
    refuse_taken(home, home.path / ORDER, "selection")
    before = kept_order(home.path / ORDER)
    overrides = dict(overrides or before.get("overrides") or {})
    if minutes is None and epochs is None and before:
        minutes, epochs = before["budget"]["minutes"], before["budget"]["epochs"]
    budget = budget_of(project, minutes, epochs, overrides)
    candidates = candidates_of(project, tries, overrides) if tries or not before else before["candidates"]
    cohort = project.cohort(numbers[0])
    seed = with_overrides(project.settings, overrides).training.seed
    endpoint = project.settings.evaluation.primary_endpoint or default_endpoint(project.question)
    order: dict[str, Any] = {"cohort": cohort.digest, "budget": budget.as_dict(), "overrides": overrides, "seed": seed}
    order |= {"candidates": candidates, "inner": inner or before.get("inner") or INNER, "endpoint": endpoint}
    order["settings"] = settings_digest(project, overrides)
    metric, _ = resolve_endpoint(project.question, endpoint)
    if metric.better not in ("higher", "lower", "zero"):
        raise OverreadError(
            f"By {metric.name} nothing can be chosen: it has no better and worse.", "set evaluation.primary_endpoint"
        )
    selections = [Selection(project, home.name, number, budget, order, progress, tell) for number in numbers]
    divided = [one.divided() for one in selections]  # everything that cannot be is found before anything is trained
    keep_order(home.path / ORDER, order, FIXED, f"The selection '{home.name}'")
    trainings = len(numbers) * (len(candidates) * int(order["inner"]) + 1)
    tell(f"{trainings} trainings of {budget} each: {len(candidates)} candidates on {order['inner']} inner parts, and the winner.")
    return [one.done(parts) for one, parts in zip(selections, divided, strict=True)]
