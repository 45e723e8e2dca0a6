"""Overread: the open deep learning workbench for radiology.

The verbs are the API; the command line calls the same functions. Importing this package
loads no torch: each verb loads what it needs when it is first called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_VERBS = {
    "init": "overread.workflow.init",
    "load": "overread.workflow.read",
    "evaluate_answers": "overread.workflow.evaluate_answers",
    "phantom": "overread.workflow.phantom",
    "Project": "overread.workflow.project",
    "OverreadError": "overread.core.errors",
}
__all__ = [*_VERBS, "__version__"]

if TYPE_CHECKING:
    from overread.core.errors import OverreadError as OverreadError
    from overread.workflow.evaluate_answers import evaluate_answers as evaluate_answers
    from overread.workflow.init import init as init
    from overread.workflow.phantom import phantom as phantom
    from overread.workflow.project import Project as Project
    from overread.workflow.read import load as load


def __getattr__(name: str) -> Any:
    if name not in _VERBS:
        raise AttributeError(f"module 'overread' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_VERBS[name]), name)
