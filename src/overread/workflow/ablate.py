"""`overread ablate`: one part of a training, or of a reading, is switched off at a time; what it added is the paired difference.

Trainings of one ablation have the same training and tuning cases, budget and seeds, and differ by one switch. Read are tuning
cases only; the internal test stays sealed. Sources: Meyes et al., Ablation studies in artificial neural networks,
arXiv:1901.08644; one switch at a time against several seeds, Bouthillier et al., MLSys 2021, arXiv:2103.03098.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from overread.cohort.index import Cohort
from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.learning.ablation import refuse_undirected
from overread.record.files import read_json, write_json, write_text
from overread.record.run import RunFolder
from overread.reporting.searches.ablation_page import ablation_page
from overread.workflow.ablating.base import refuse_another_base, settings_of_run
from overread.workflow.ablating.reading import read_otherwise
from overread.workflow.ablating.switches import READING, SWITCHES, chosen_switches
from overread.workflow.ablating.trained import Ablation, compared
from overread.workflow.learning.objective import objective
from overread.workflow.learning.series import budget_of, keep_order, kept_order, refuse_taken, settings_digest, told_overrides
from overread.workflow.plan import refuse_unfit, with_overrides
from overread.workflow.project import Project
from overread.workflow.unfit import refuse_unscored

ORDER = "ablation-order.json"
FILE = "ablation.json"
PAGE = "ablation.html"
DEFAULT_NAME = "ablation"
SEEDS = 3
FORMAT = 2  # since 2, verdicts know of the spread over seeds
FIXED = ("cohort", "fold", "budget", "overrides", "seed", "endpoint", "settings")
TUNING = (
    "These are tuning cases: decisions of every training were fitted on them, alike for all, so scores flatter and differences "
    "are of like with like. The internal test had no part in it."
)
ONE_AT_A_TIME = (
    "One switch at a time: two parts that do the same work may each seem to add nothing, though leaving both out would cost much."
)
OF_THESE = "Intervals and verdicts are about both: which patients tune, and how far seeds lie apart. Three seeds make them wide."
ONE_SEED = (
    "One seed says nothing of luck: the same training with another seed may differ by as much. So nothing is called shown, and "
    "intervals are about patients alone. Take --seeds 3."
)
FROZEN = "Threshold, calibration and clean-up stay as they were frozen, fitted on answers as the model gives them by itself."
Tell = Callable[[str], None]


def ablate(
    project: Project,
    switches: Sequence[str] = (),
    run_name: str | None = None,
    minutes: float | None = None,
    epochs: int | None = None,
    seeds: int | None = None,
    name: str | None = None,
    fold: int | None = None,
    overrides: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    tell: Tell = lambda line: None,
) -> dict[str, Any]:
    """Train and compare, or read and compare; writes `ablation.json` and `ablation.html`. What is trained already is kept.

    switches   names, see `ablating.switches`; the usual ones of training where none is given
    run_name   the run whose settings are the base; for switches of reading, whose frozen model reads
    seeds      trainings of each variant
    name       of the folder in runs/ that holds all of it
    What an earlier call was told and this one is not, is taken from there.
    """
    refuse_unscored(project)
    (fold,) = project.folds_asked(fold, "give --fold K to hold one out")
    home = project.run(name or DEFAULT_NAME)
    before = kept_order(home.path / ORDER)
    named = list(switches) or list(before.get("switches", ()))
    of_training, of_reading = chosen_switches(named)
    endpoint = objective(project)
    refuse_undirected(endpoint)
    if not (home.path / FILE).exists():
        refuse_taken(home, home.path / ORDER, "ablation")
    cohort = project.cohort(fold)
    refuse_unfit(cohort)
    parts = _kept(home, cohort, fold, endpoint, project.settings.evaluation.interval_level)
    if of_reading:
        if run_name is None:
            raise OverreadError(
                f"{of_reading[0]} is a way of reading, and no run is named whose model reads.", "name a trained run with --run"
            )
        parts["read"], parts["not_read"] = read_otherwise(project, run_name, fold, of_reading, endpoint, progress)
    if of_training:
        one = _ablation(project, home, before, of_training, run_name, (minutes, epochs), seeds, fold, overrides, progress, tell)
        parts["trained"], parts["not_trained"] = _trained(one, home, of_training, cohort, endpoint, tell)
    return _written(project, home, cohort, fold, endpoint, parts)


def _kept(home: RunFolder, cohort: Cohort, fold: int | None, endpoint: Endpoint, level: float) -> dict[str, Any]:
    """What earlier calls found of the same cases by the same score: trainings and readings are asked for one after the other."""
    empty: dict[str, Any] = {"trained": None, "not_trained": {}, "read": None, "not_read": {}}
    path = home.path / FILE
    found = dict(read_json(path)) if path.exists() else {}
    same = {"format": FORMAT, "cohort": cohort.digest, "fold": fold, "endpoint": endpoint.as_dict(), "level": level}
    if any(found.get(key) != value for key, value in same.items()):
        return empty
    return {key: found.get(key, value) for key, value in empty.items()}


def _ablation(
    project: Project,
    home: RunFolder,
    before: Mapping[str, Any],
    switches: Sequence[str],
    run_name: str | None,
    budget: tuple[float | None, int | None],
    seeds: int | None,
    fold: int | None,
    overrides: Mapping[str, str] | None,
    progress: Progress | None,
    tell: Tell,
) -> Ablation:
    """The order as given, else as it was given before; written down before anything is trained."""
    base = settings_of_run(project, run_name, fold) if run_name is not None else {}
    own = {**base, **(overrides or {})} or dict(before.get("overrides") or {})
    minutes, epochs = budget
    if minutes is None and epochs is None and before:
        minutes, epochs = before["budget"]["minutes"], before["budget"]["epochs"]
    cohort = project.cohort(fold, check=False)
    if run_name is not None:
        refuse_another_base(project, run_name, cohort, fold, own, progress)
    chosen = budget_of(project, minutes, epochs, own)
    seed = with_overrides(project.settings, own).training.seed
    count = seeds or int(before.get("seeds") or SEEDS)
    order = {
        "cohort": cohort.digest,
        "fold": fold,
        "budget": chosen.as_dict(),
        "overrides": own,
        "seed": seed,
        "seeds": count,
        "switches": list(switches),
        "endpoint": objective(project).key,
        "settings": settings_digest(project, own),
    }
    keep_order(home.path / ORDER, order, FIXED, f"The ablation '{home.name}'")
    held = () if fold is None else ("--fold", str(fold))
    again = project.command("ablate", "--name", home.name, *held)
    every = tuple(seed + k for k in range(count))
    return Ablation(project, home.name, fold, chosen, own, every, again, progress, tell)


def _trained(
    one: Ablation, home: RunFolder, switches: Sequence[str], cohort: Cohort, endpoint: Endpoint, tell: Tell
) -> tuple[dict[str, Any], dict[str, str]]:
    variants, refused = one.applicable(switches, cohort)
    for name, why in refused.items():
        tell(f"{name} is left out: {why}")
    if not variants:
        why = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise OverreadError(f"None of these can be switched off here. {why}.", f"--switch takes {', '.join(SWITCHES)}")
    tell(f"{(len(variants) + 1) * len(one.seeds)} trainings of {one.budget} each: the base and {len(variants)} variants.")
    found = one.trained(variants, cohort)
    level = one.project.settings.evaluation.interval_level
    return {
        "budget": one.budget.as_dict(),
        "seeds": list(one.seeds),
        "overrides": told_overrides(one.overrides),
        "n_trainings": (len(variants) + 1) * len(one.seeds),
        "rows": compared(found, variants, endpoint, level),
    }, refused


def _written(
    project: Project, home: RunFolder, cohort: Cohort, fold: int | None, endpoint: Endpoint, parts: dict[str, Any]
) -> dict[str, Any]:
    trained, read = parts["trained"], parts["read"]
    result = {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "name": home.name,
        "cohort": cohort.digest,
        "fold": fold,
        "is_phantom": cohort.is_phantom,
        "endpoint": endpoint.as_dict(),
        "level": project.settings.evaluation.interval_level,
        "n_cases": len(cohort.of("tuning")),
        "n_patients": len({case.patient_id for case in cohort.of("tuning")}),
        **parts,
        "titles": {**{name: switch.title for name, switch in SWITCHES.items()}, **READING},
        "notes": [
            TUNING,
            *([ONE_AT_A_TIME, OF_THESE if len(trained["seeds"]) > 1 else ONE_SEED] if trained else []),
        ],
        "notes_read": [FROZEN] if read else [],
    }
    write_json(home.path / FILE, result)
    write_text(home.path / PAGE, ablation_page(project.name.replace("_", " "), result))
    return result
