"""What to try next, by Optuna: a function of the space, the seed and the trials so far, and of nothing else.

The study is made anew in memory from the record before every proposal, and the sampler begins from a seed of that proposal's own.
So a search that was killed and goes on proposes what it would have proposed.

Sources: Bergstra et al., Algorithms for hyper-parameter optimization, NeurIPS 2011 (tree-structured Parzen estimator); Bergstra
and Bengio, JMLR 2012;13:281 (random search); Hutter et al., ICML 2014 (importance by functional analysis of variance); Akiba
et al., Optuna, arXiv:1907.10902.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from overread.core.errors import OverreadError
from overread.workflow.searching.space import Choice, Range, Space, grid
from overread.workflow.searching.trials import DONE, FAILED, Trial, cost

METHODS = ("tpe", "random", "grid")
STARTUP = 8  # trials drawn at random before a model of them says anything
DRAWS = 50  # of a proposal, before it is believed that nothing new is left
FEWEST_FOR_IMPORTANCE = 8  # done trials, below which a forest of them says nothing


def propose(space: Space, method: str, seed: int, trials: Sequence[Trial], better: str) -> dict[str, str] | None:
    """Settings of the next trial; None where everything was tried.

    seed    of the search
    trials  in order, with the first one, which is as project.toml says
    better  "higher", "lower" or "zero"
    """
    tried = {_frozen(trial.settings) for trial in trials}
    if method == "grid":
        order = grid(space)
        random.Random(seed).shuffle(order)  # a grid that is not finished has seen something of every value
        return next((settings for settings in order if _frozen(settings) not in tried), None)
    for draw in range(DRAWS):
        found = _asked(space, method, _seed(seed, len(trials), draw), trials, better)
        if _frozen(found) not in tried:
            return found
    return None


def _frozen(settings: Any) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(settings.items()))


def _seed(seed: int, number: int, draw: int) -> int:
    """Another one for each proposal, the same on every machine."""
    return random.Random(f"{seed}/{number}/{draw}").randrange(2**31)


def _asked(space: Space, method: str, seed: int, trials: Sequence[Trial], better: str) -> dict[str, str]:
    optuna = optuna_library()
    if method == "tpe":
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
    else:
        sampler = optuna.samplers.RandomSampler(seed=seed)
    values = _study(space, trials, better, sampler).ask(_distributions(space)).params
    return {axis.key: axis.as_text(values[axis.key]) if isinstance(axis, Range) else str(values[axis.key]) for axis in space}


def _study(space: Space, trials: Sequence[Trial], better: str, sampler: Any = None) -> Any:
    """The trials as Optuna knows them; the first one has no values of the space, and failed ones say nothing."""
    optuna = optuna_library()
    study = optuna.create_study(direction="minimize", sampler=sampler)
    for trial in trials:
        if not trial.settings or trial.state == FAILED:
            continue
        if trial.state == DONE and trial.value is not None:
            known = {"state": optuna.trial.TrialState.COMPLETE, "value": cost(trial.value, better)}
        else:
            losses = {round(100 * share): loss for share, loss in trial.looks}
            known = {"state": optuna.trial.TrialState.PRUNED, "intermediate_values": losses}
        params = {axis.key: _as_number(axis, trial.settings[axis.key]) for axis in space}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=_distributions(space), **known))
    return study


def _as_number(axis: Range | Choice, text: str) -> Any:
    return text if isinstance(axis, Choice) else int(text) if axis.is_whole else float(text)


def _distributions(space: Space) -> dict[str, Any]:
    optuna = optuna_library()
    kinds = optuna.distributions
    found: dict[str, Any] = {}
    for axis in space:
        if isinstance(axis, Choice):
            found[axis.key] = kinds.CategoricalDistribution(axis.values)
        elif axis.is_whole:
            found[axis.key] = kinds.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
        else:
            found[axis.key] = kinds.FloatDistribution(axis.low, axis.high, log=axis.log)
    return found


def importances(space: Space, trials: Sequence[Trial], better: str, seed: int) -> dict[str, float]:
    """Share of the spread of the scores that each key explains, most first; empty where too few trials are done.

    By functional analysis of variance on a random forest of the done trials.
    """
    done = [t for t in trials if t.settings and t.state == DONE and t.value is not None]
    if len(done) < FEWEST_FOR_IMPORTANCE or len({t.value for t in done}) < 2:
        return {}
    optuna = optuna_library()
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    found = optuna.importance.get_param_importances(_study(space, done, better), evaluator=evaluator)
    return {key: float(share) for key, share in found.items()}


def optuna_library() -> Any:
    """Optuna, silent; it is no part of what every installation has."""
    try:
        import optuna
    except ImportError:
        raise OverreadError(
            "Optuna is not installed, and a search takes its proposals from it.", "pip install 'overread[search]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
