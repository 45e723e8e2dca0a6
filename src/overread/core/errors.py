"""One base class for everything a user can put right.

    OverreadError
    ├── Refused          an input that the door does not let in, with a short code
    └── Stopped          the user asked a long run to stop; what was done is kept

Anything else that escapes is our bug and shows its traceback.
"""

from __future__ import annotations


class OverreadError(Exception):
    """Something a user can put right: what happened, and the next step.

    what  names the thing (case, series, file, setting), the value and what was expected
    next  the next step in plain words, or a command
    """

    exit_code = 2

    def __init__(self, what: str, next: str = "") -> None:
        super().__init__(what if not next else f"{what}\n  Next: {next}")
        self.what = what
        self.next = next

    def __reduce__(self) -> tuple[type[OverreadError], tuple[str, ...]]:
        """Another process says it again in the same words."""
        return type(self), (self.what, self.next)


class Refused(OverreadError):
    """An input that was looked at and turned away for a named reason.

    code  a short stable name for tables and programs, e.g. ``missing-slice``
    """

    def __init__(self, code: str, what: str, next: str = "") -> None:
        super().__init__(what, next)
        self.code = code

    def __reduce__(self) -> tuple[type[OverreadError], tuple[str, ...]]:
        return type(self), (self.code, self.what, self.next)


class Stopped(OverreadError):
    """The user stopped a long run; the run folder is valid and can be resumed."""

    exit_code = 130
