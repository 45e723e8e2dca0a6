"""Images that a network made or changed may train, and nothing else: who they are among gathered cases.

A score on an image that no scanner took says nothing about patients, and one that was made from a patient shows that patient
again. So such a case is never scored, tuned on or sealed as a test, and never trains where its patient is held out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from overread.cohort.draft import Draft
from overread.cohort.inspect import Seen
from overread.core.errors import Refused
from overread.imaging.made import DERIVED, SYNTHETIC

ORIGINS = {SYNTHETIC: "generated", DERIVED: "derived"}
IN_WORDS = {SYNTHETIC: "made by a network", DERIVED: "changed by a network"}
HELD_OUT = "by a network, of a patient who does not train"
NOBODYS = "changed by a network, of a patient not named"
SHOWN = 3


def made_positions(seen: Sequence[Seen]) -> list[int]:
    """Positions of the cases whose image a network made or changed."""
    return [k for k, s in enumerate(seen) if s.made]


def counted_in_words(seen: Iterable[Seen]) -> str:
    """How many were made and how many changed, in words."""
    counts = Counter(s.made for s in seen if s.made)
    return " and ".join(f"{counts[kind]} {words}" for kind, words in IN_WORDS.items() if counts[kind])


def refuse_made(drafts: Sequence[Draft], seen: Sequence[Seen], where: str, next: str = "") -> None:
    """Stop where images that a network made would be tested; by name, for the terminal.

    where  what they would be in, e.g. "the internal test"
    """
    names = [d.name for d, s in zip(drafts, seen, strict=True) if s.made]
    if not names:
        return
    some = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    raise Refused(
        "made-by-a-network",
        f"{counted_in_words(seen)} would be in {where}: {some}. A score on an image that no scanner took says nothing about "
        "patients.",
        next or "take them out of the folder; they may train a network, with `overread init` or `overread update`",
    )
