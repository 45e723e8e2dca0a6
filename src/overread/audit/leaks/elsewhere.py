"""Does an external cohort hold patients or images of the project? Then it is no external test of what the project learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from overread.audit.audited import Audited
from overread.audit.concern import Concern
from overread.audit.leaks.duplicates import Twins, groups_of
from overread.audit.leaks.groups import Group
from overread.audit.leaks.images import of_twins
from overread.audit.sketch import Sketch

LEARNED = "A model that learned from them is tested on what it knows, so the score flatters."
TESTED = "The internal and the external test are then one in part: the second does not confirm the first."


@dataclass(frozen=True)
class Elsewhere:
    """An external cohort of the project that is audited.

    name      "external:NAME"
    audited   its cases, whose ids begin with the name; all truths are sealed
    people    groups of case_ids, of the project and of this cohort, of one patient; None where one of the two names no patients
    accepted  the ledger says why patients or images that both have were accepted
    """

    name: str
    audited: Audited
    people: tuple[Group, ...] | None = None
    accepted: bool = False


def look_elsewhere(
    audited: Audited, sketches: Mapping[str, Sketch], twins: Sequence[Twins], elsewhere: Sequence[Elsewhere]
) -> list[Concern]:
    """Patients and images that the project and an external cohort both have.

    sketches  of the images of the project and of all external cohorts
    twins     among all of these
    """
    same = groups_of([(pair.one, pair.other) for pair in twins if pair.is_identical])
    alike = groups_of([(pair.one, pair.other) for pair in twins])
    here = {case.case_id: case.partition for case in audited.cases}
    return [concern for other in elsewhere for concern in _look_at(other, here, sketches, twins, same, alike)]


def _look_at(
    other: Elsewhere,
    here: Mapping[str, str],
    sketches: Mapping[str, Sketch],
    twins: Sequence[Twins],
    same: Sequence[Group],
    alike: Sequence[Group],
) -> Iterator[Concern]:
    there = {case.case_id for case in other.audited.cases}
    copies, near = _shared(same, here, there), _shared(alike, here, there)
    by_pixels = {name for group in copies for name in group if name in there}
    near = [group for group in near if not by_pixels.issuperset(there & set(group))]
    if other.people:
        yield _concern(other, "patient", "patients", other.people, here, _SURE_OF_PATIENTS, {})
    elif other.people is None:
        yield _not_compared(other)
    if copies:
        yield _concern(other, "identical image", "identical images", copies, here, _SURE_OF_PIXELS, of_twins(copies, twins))
    if near:
        words = "nearly identical image", "nearly identical images (rescaled, windowed, compressed or flipped)"
        yield _concern(other, *words, near, here, _NEARLY_SURE, of_twins(near, twins))
    if unseen := len(there - sketches.keys()):
        yield _unseen(other, unseen)


def _shared(groups: Sequence[Group], here: Mapping[str, str], there: set[str]) -> list[Group]:
    """Groups with a case of both, without those of a third cohort."""
    cut = [tuple(name for name in group if name in here or name in there) for group in groups]
    return [group for group in cut if there & set(group) and here.keys() & set(group)]


_SURE_OF_PATIENTS = (
    "Sure that both call a patient alike, whatever the spelling; two hospitals that count from 1 would look the same. Ids were "
    "compared as keyed digests."
)
_SURE_OF_PIXELS = "Sure: every pixel is the same."
_NEARLY_SURE = (
    "Nearly sure: hashes and the pictures laid over each other agree; two films of one person, taken alike, or neighbouring "
    "slices of one scan may, too, and then the person is in both."
)


def _concern(
    other: Elsewhere,
    one: str,
    many: str,
    groups: Sequence[Group],
    here: Mapping[str, str],
    certainty: str,
    evidence: Mapping[str, object],
) -> Concern:
    """A fault where what was learned from is in it; else a warning."""
    members = {name for group in groups for name in group}
    away = len(members - here.keys())
    places = {here[name] for name in members & here.keys()}
    is_learned = places != {"internal"}
    was_accepted = other.accepted and not one.startswith("nearly")
    count = f"1 {one} is" if len(groups) == 1 else f"{len(groups)} {many} are"
    said = " That was accepted when cases were taken in, with a reason in the ledger." if was_accepted else ""
    return Concern(
        key=f"{one.replace(' ', '-')}-in-external-cohort",
        subject="leak",
        severity="fault" if is_learned and not was_accepted else "warning",
        statement=f"{count} in the project and in {other.name} too ({away} of its {len(other.audited.cases)} cases).{said}",
        meaning=LEARNED if is_learned else TESTED,
        certainty=certainty,
        advice=f"Take these cases out of {other.name} with their images and `overread update` it, before it is opened; a result "
        "that it gave already is to be reported without them.",
        evidence={"groups": len(groups), "cases_there": away, "cases_here": len(members) - away, **evidence},
        cases=[tuple(group) for group in groups],
        partitions=(*sorted(places), other.name),
    )


def _not_compared(other: Elsewhere) -> Concern:
    return Concern(
        key="patients-of-external-cohort-not-compared",
        subject="leak",
        severity="note",
        statement=f"Whether {other.name} holds patients of the project is not known: one of the two does not name its patients.",
        meaning=LEARNED,
        certainty="Sure that it cannot be known from these files; copies of images were looked for.",
        advice="Ask where the images come from, and say in the paper how the two were kept apart.",
        evidence={"cases_there": len(other.audited.cases)},
        partitions=(other.name,),
    )


def _unseen(other: Elsewhere, count: int) -> Concern:
    return Concern(
        key="external-cohort-not-looked-at",
        subject="leak",
        severity="note",
        statement=f"{count} of {len(other.audited.cases)} images of {other.name} could not be opened or compared.",
        meaning="They may be in the project too.",
        certainty="Certain: they could not be opened.",
        advice="Bring the folder of its images back to where it was, and audit again.",
        evidence={"images": count},
        partitions=(other.name,),
    )
