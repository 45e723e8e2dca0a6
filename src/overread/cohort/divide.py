"""Dividing a cohort that holds images which a network made: the acquired ones are divided as if those were not there.

So a project with made images and one without them draw the same split, and their tests can be compared. The made images then
join the training cases; one that was made from a patient (the same patient, or the same pixels) only where that patient trains.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from overread.cohort.draft import Draft, Step
from overread.cohort.gather import Gathered
from overread.cohort.given import Given
from overread.cohort.made import HELD_OUT, NOBODYS, counted_in_words, made_positions, refuse_made
from overread.cohort.partition import Division, Wish
from overread.cohort.partition import divide as divide_acquired
from overread.cohort.split import linked_groups
from overread.core.errors import Refused
from overread.imaging.made import DERIVED

UNKNOWN = (
    "whether the network that made them learned from patients who are held out here cannot be seen in them: give both projects "
    "one split (--splits FILE), or the test is not independent"
)


def divide(gathered: Gathered, given: Given | None, wish: Wish, extra: Sequence[str | None] | None = None) -> Division:
    """Divide a cohort by the given split, or draw one; what a network made trains.

    extra  one more thing per case to be spread evenly (a column of the sheet)
    """
    made = made_positions(gathered.seen)
    if not made:
        return divide_acquired(gathered, given, wish, extra)
    others, which = acquired(gathered)
    own = None if given is None else _without_made(given, gathered.drafts, made, which)
    division = divide_acquired(others, own, wish, None if extra is None else [extra[k] for k in which])
    return with_made(gathered, which, division, () if given is None else given.place)


def acquired(gathered: Gathered) -> tuple[Gathered, list[int]]:
    """The cases whose images no network made, and their positions; refused where there are none."""
    which = [k for k, s in enumerate(gathered.seen) if not s.made]
    if not which:
        raise Refused(
            "made-by-a-network",
            f"Every image is one of a network ({counted_in_words(gathered.seen)}): nothing is left to tune or test on.",
            "put the patients' own images into the folder",
        )
    drafts, seen = (tuple(each[k] for k in which) for each in (gathered.drafts, gathered.seen))
    return replace(gathered, drafts=drafts, seen=seen), which  # type: ignore[arg-type]


def _without_made(given: Given, drafts: Sequence[Draft], made: Sequence[int], which: Sequence[int]) -> Given:
    """The given split of the acquired cases; refused where it would test or tune on made ones."""
    for k in made:
        place = given.place.get(k, "training")
        if place != "training":
            raise Refused(
                "made-by-a-network",
                f"The split ({given.source}) puts {drafts[k].name} into {_called(place)}, but a network made or changed it.",
                "take it out of the split, or name it as training: such images train, and are never scored",
            )
    return replace(given, place={n: given.place[k] for n, k in enumerate(which) if k in given.place})


def _called(place: str | int) -> str:
    return f"fold {place}" if isinstance(place, int) else {"internal": "the internal test"}.get(place, place)


def with_made(gathered: Gathered, which: Sequence[int], division: Division, vouched: Collection[int] = ()) -> Division:
    """The division of the acquired cases (at these positions), with the made ones in training.

    vouched  made cases of which somebody said that they train: of a changed image nobody else can know whose it is
    """
    drafts, made = gathered.drafts, made_positions(gathered.seen)
    groups = linked_groups([d.patient or d.name for d in drafts], [s.digest for s in gathered.seen])
    place: list[str | int | None] = [None] * len(drafts)
    own_groups = list(groups)
    for k, there, group in zip(which, division.place, division.groups, strict=True):
        place[k], own_groups[k] = there, group
    folds = sorted({p for p in division.place if isinstance(p, int)})
    apart, trains = dict[int, str](), dict[int, tuple[int, ...]]()
    for k in made:
        kin = [j for j in which if groups[j] == groups[k] and place[j] is not None]
        runs = tuple(f for f in folds if not any(place[j] == f or own_groups[j] in division.tuning[f] for j in kin))
        if gathered.seen[k].made == DERIVED and drafts[k].patient in (None, drafts[k].name) and k not in vouched:
            apart[k] = NOBODYS
        elif (folds and not runs) or (not folds and any(place[j] != "training" for j in kin)):
            apart[k] = HELD_OUT
        elif folds:
            trains[k] = runs
    place = ["training" if k in made and k not in apart else p for k, p in enumerate(place)]
    return replace(
        division,
        place=tuple(place),
        groups=tuple(own_groups),
        leaks=tuple(replace(leak, cases=tuple(which[n] for n in leak.cases)) for leak in division.leaks),
        notes=(*division.notes, *_notes(gathered, made, apart)),
        apart=apart,
        trains=trains,
    )


def _notes(gathered: Gathered, made: Sequence[int], apart: Mapping[int, str]) -> tuple[str, ...]:
    told = f"{counted_in_words(gathered.seen[k] for k in made)}: such images train and are never scored"
    left = f"; {len(apart)} of them are left out, since their patient does not train or is not known" if apart else ""
    return (f"{told}{left}; {UNKNOWN}",)


def made_step(gathered: Gathered, division: Division, steps: Sequence[Step]) -> list[Step]:
    """The steps of the data flow, with one that says how many of the cases were made by a network and train."""
    trained = sum(bool(s.made) and p is not None for s, p in zip(gathered.seen, division.place, strict=True))
    if not trained:
        return list(steps)
    return [*steps, Step(f"placed; {trained} by a network, training only", sum(p is not None for p in division.place))]


def refuse_placed(gathered: Gathered, division: Division) -> None:
    """The gate before a cohort is written: whatever divided it, no made image is tuned or tested on."""
    wrong = [k for k in made_positions(gathered.seen) if division.place[k] not in ("training", None)]
    if wrong:
        drafts, seen = ([each[k] for k in wrong] for each in (gathered.drafts, gathered.seen))
        refuse_made(drafts, seen, _called(division.place[wrong[0]] or ""))  # type: ignore[arg-type]
