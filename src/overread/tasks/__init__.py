"""One file per task: how a truth is encoded, what is minimised, how a network answers, how its answer is decoded."""

from overread.tasks.base import Scaling, Task
from overread.tasks.table import TASKS, losses_of, make, routes_of

__all__ = ["TASKS", "Scaling", "Task", "losses_of", "make", "routes_of"]
