"""One file per task: how a truth is encoded, what is minimised, how a network answers, how its answer is decoded."""

from overread.tasks.base import Scaling, Task
from overread.tasks.table import TASKS, make

__all__ = ["TASKS", "Scaling", "Task", "make"]
