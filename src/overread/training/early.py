"""Early stopping: a training ends where the tuning loss no longer falls, and the weights of its best look are kept.

Source: Prechelt, Early stopping - but when? In: Neural Networks: Tricks of the Trade, LNCS 1524 (1998), 55-69.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn


class EarlyStopping:
    """Remembers the averaged weights with the lowest tuning loss.

    patience  looks at the tuning cases without a lower loss after which training is over; 0 is off: nothing is remembered
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.weights: dict[str, Tensor] = {}
        self.loss, self.step, self.epoch, self.looks_since = math.inf, 0, 0, 0

    def look(self, loss: float | None, step: int, epoch: int, network: nn.Module) -> None:
        """Take note of a look; a loss that is no number counts as not lower."""
        if not self.patience or loss is None:
            return
        if loss < self.loss:
            self.loss, self.step, self.epoch, self.looks_since = loss, step, epoch, 0
            self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        else:
            self.looks_since += 1

    @property
    def is_over(self) -> bool:
        return self.patience > 0 and self.looks_since >= self.patience

    def give_back(self, network: nn.Module) -> bool:
        """Load the best weights where the last look was not the best one; whether anything was loaded."""
        if not self.weights or not self.looks_since:
            return False
        network.load_state_dict(self.weights)
        return True

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint; the weights go beside them."""
        loss = self.loss if math.isfinite(self.loss) else None
        return {"loss": loss, "step": self.step, "epoch": self.epoch, "looks_since": self.looks_since}

    def restore(self, state: dict[str, Any], weights: dict[str, Tensor]) -> None:
        self.loss = math.inf if state["loss"] is None else state["loss"]
        self.step, self.epoch, self.looks_since = state["step"], state["epoch"], state["looks_since"]
        self.weights = weights
