"""What keeps its loaded weights at first, when it begins to learn, and how fast each stage is taught.

Sources: Howard and Ruder, ACL 2018, arXiv:1801.06146 (gradual unfreezing from the head down; a rate per layer); Clark et al.,
ICLR 2020, arXiv:2003.10555 (each layer's rate is that of the layer above times a constant).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from overread.core.errors import OverreadError
from overread.training.stages import Stage, stages_of

NONE, FEATURES = "none", "features"


@dataclass(frozen=True)
class Freezing:
    """As the plan says it.

    freeze       "none", "features" (all but the head), or a number of stages from the entry: "2"
    unfreeze     share of the budget after which frozen stages learn: the one next to the head first, the others evenly over
                 the rest; 0 never
    layer_decay  rate of a stage relative to that of the one above it; the head has the full rate
    """

    freeze: str = NONE
    unfreeze: float = 0.0
    layer_decay: float = 1.0

    def frozen(self, stages: Sequence[Stage]) -> tuple[Stage, ...]:
        """The stages that keep their weights at first, from the entry on."""
        features = [stage for stage in stages if not stage.is_head]
        if self.freeze == NONE:
            return ()
        if self.freeze == FEATURES:
            return tuple(features)
        count = int(self.freeze)
        if count > len(features):
            raise OverreadError(
                f'[training] freeze = "{count}": this network has {len(features)} stages before its head '
                f"({', '.join(stage.name for stage in features)}).",
                f'set freeze to {len(features)} or less, or to "features"',
            )
        return tuple(features[:count])

    def thawed(self, count: int, progress: float) -> int:
        """How many of `count` frozen stages learn at a share of the budget, 0 to 1."""
        if not self.unfreeze or not count or progress < self.unfreeze:
            return 0
        wait = (1 - self.unfreeze) / count
        return min(count, 1 + int((progress - self.unfreeze) / wait + 1e-9))

    def rates(self, stages: Sequence[Stage]) -> dict[str, float]:
        """Stage -> its share of the learning rate."""
        last = len(stages) - 1
        return {stage.name: self.layer_decay ** (last - place) for place, stage in enumerate(stages)}


def shares_of(network: nn.Module, rules: Freezing) -> dict[str, float] | None:
    """Name of a parameter -> its share of the learning rate; None where all are taught alike."""
    if rules.layer_decay == 1.0:
        return None
    stages = stages_of(network)
    rates = rules.rates(stages)
    return {name: next(rates[stage.name] for stage in stages if stage.holds(name)) for name, _ in network.named_parameters()}


NOTHING_FROZEN = Freezing()


class Frozen:
    """The frozen stages of one network in training: their weights get no gradient, their batch norms keep their statistics."""

    def __init__(self, network: nn.Module, rules: Freezing) -> None:
        self.network, self.rules = network, rules
        self.stages = rules.frozen(stages_of(network)) if rules.freeze != NONE else ()
        self.count = 0  # of these, how many learn again
        self._learnable = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
        self._apply()

    @property
    def held(self) -> tuple[Stage, ...]:
        """The stages that are frozen now."""
        return self.stages[: len(self.stages) - self.count]

    def thaw(self, progress: float) -> tuple[Stage, ...]:
        """Let those learn whose time has come; returns them, the one next to the head first."""
        return self._thaw_to(max(self.count, self.rules.thawed(len(self.stages), progress)))

    def restore(self, count: int) -> None:
        """As it was when the training stopped."""
        self._thaw_to(count)

    def hold_statistics(self) -> None:
        """Batch norms of frozen stages answer by their statistics and leave them alone; called after ``network.train()``."""
        for module in self._norms().values():
            module.eval()

    def norms_held(self) -> frozenset[str]:
        """Names of the batch norms whose statistics stay."""
        return frozenset(self._norms())

    def _norms(self) -> dict[str, nn.Module]:
        if not self.held:
            return {}
        found = {name: module for name, module in self.network.named_modules() if isinstance(module, _BatchNorm)}
        return {name: module for name, module in found.items() if self._holds(name)}

    def _holds(self, name: str) -> bool:
        return any(stage.holds(name) for stage in self.held)

    def _thaw_to(self, count: int) -> tuple[Stage, ...]:
        before, self.count = self.held, count
        if before != self.held:
            self._apply()
        return before[len(self.held) :][::-1]

    def _apply(self) -> None:
        if not self.stages:
            return
        parameters = dict(self.network.named_parameters())
        for name in self._learnable:
            parameters[name].requires_grad_(not self._holds(name))


def check_freezing(freeze: str, unfreeze: float, layer_decay: float, weights: str) -> Freezing:
    """The wishes of project.toml as rules; what makes no sense is refused."""
    if freeze not in (NONE, FEATURES) and not (freeze.isdecimal() and int(freeze) > 0):
        raise OverreadError(
            f'[training] freeze = "{freeze}" is none of "none", "features" and a number of stages from the entry.',
            'set freeze = "features" to teach the head alone at first, or freeze = "2" for the first two stages',
        )
    if freeze != NONE and weights == "random":
        raise OverreadError(
            f'[training] freeze = "{freeze}" would keep random weights as they are: weights = "random".',
            'name the weights to begin from, e.g. weights = "run:pretrained", or set freeze = "none"',
        )
    if not 0 <= unfreeze < 1:
        raise OverreadError(
            f"[training] unfreeze = {unfreeze:g} is no share of the budget.", "give a number from 0 (never) to below 1, e.g. 0.3"
        )
    if unfreeze and freeze == NONE:
        raise OverreadError(
            f"[training] unfreeze = {unfreeze:g}, and nothing is frozen.", 'set freeze = "features", or leave unfreeze out'
        )
    if not 0 < layer_decay <= 1:
        raise OverreadError(
            f"[training] layer_decay = {layer_decay:g} is no share of a rate.", "give a number above 0 up to 1, e.g. 0.75"
        )
    return Freezing(freeze, unfreeze, layer_decay)


def why_frozen(rules: Freezing, reasons: dict[str, str]) -> None:
    """What the plan says of it, where there is anything to say."""
    if rules.freeze != NONE:
        reasons["freeze"] = "set in project.toml: these stages keep what they loaded, and their batch norms their statistics"
        reasons["unfreeze"] = (
            f"from {100 * rules.unfreeze:g} % of the budget on they learn too, the one next to the head first"
            if rules.unfreeze
            else "never: few cases cannot spoil what was learned from many"
        )
    if rules.layer_decay != 1.0:
        reasons["layer_decay"] = "set in project.toml: each stage is taught at this share of the rate of the one above it"


def table_of_stages(network: nn.Module, rules: Freezing, states: Mapping[str, str] | None = None) -> tuple[dict[str, Any], ...]:
    """One row per stage, from the entry to the head: its tensors, what became of them, its rate, whether it is frozen.

    states  name of a tensor -> "loaded", "adapted", "inflated" or "random"; None where all are random
    """
    stages = stages_of(network)
    frozen, rates = rules.frozen(stages), rules.rates(stages)
    rows: list[dict[str, Any]] = []
    for stage in stages:
        names = [name for name, _ in network.named_parameters() if stage.holds(name)]
        found = [(states or {}).get(name, "random") for name in names]
        counts = {state: found.count(state) for state in ("loaded", "adapted", "inflated", "random")}
        weights = sum(p.numel() for name, p in network.named_parameters() if stage.holds(name))
        rows.append(
            {"stage": stage.name, "weights": weights, **counts, "rate": round(rates[stage.name], 4)}
            | {"frozen": "yes" if stage in frozen else "no"}
        )
    return tuple(rows)


def refuse_frozen_noise(rows: Sequence[Mapping[str, Any]]) -> None:
    """A frozen stage with tensors that nothing was loaded into would stay random for ever."""
    noisy = [row for row in rows if row["frozen"] == "yes" and row["random"]]
    if noisy:
        named = ", ".join(f"{row['stage']} ({row['random']} tensors)" for row in noisy[:3])
        raise OverreadError(
            f"Frozen stages hold tensors that the weights did not fill, and that would stay random: {named}.",
            "freeze fewer stages, or give weights that fit them",
        )


def words_of_stages(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table as lines of a plan: ``stem: 3 loaded; frozen``."""
    lines = []
    for row in rows:
        counts = ", ".join(f"{row[state]} {state}" for state in ("loaded", "adapted", "inflated", "random") if row[state])
        more = [f"rate x {row['rate']:g}"] if row["rate"] != 1.0 else []
        more += ["frozen"] if row["frozen"] == "yes" else []
        lines.append("; ".join([f"{row['stage']}: {counts} ({row['weights']:,} weights)", *more]))
    return lines
