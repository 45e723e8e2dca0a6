"""Is somebody in two cohorts that must not share anybody: a project and an external cohort?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from overread.cohort.gather import Gathered
from overread.cohort.identity import read_links
from overread.cohort.index import places_of, read_index, read_splits
from overread.cohort.match import tokens
from overread.core.errors import Refused

SHOWN = 5
PLACES = {"training": "training", "tuning": "tuning", "internal": "internal test"}


@dataclass(frozen=True)
class Overlap:
    """One case that another cohort knows already.

    kind   "patient" or "identical image"
    name   of the patient as the user's files have it; of an image, the case as the user calls it
    case   the case as the user calls it
    place  where the other cohort has it, in words
    """

    kind: str
    name: str
    case: str
    place: str


def find_overlap(project_dir: Path, gathered: Gathered, only: Collection[str] | None = None) -> list[Overlap]:
    """Gathered cases whose patient, or whose pixels, the cohort in `project_dir` has already, retired cases included.

    only  names of the drafts to look at; None looks at all

    Patients are compared by their ids, whatever their spelling ("P-001" is "p1"), where both cohorts know patients.
    """
    splits = read_splits(project_dir)
    places = places_of(splits)
    known_patients: dict[tuple[str, ...], str] = {}
    if splits["grouped_by"] == "patient" and gathered.patient_known:
        known_patients = {tokens(x.original_patient): _words(places[x.case_id]) for x in read_links(project_dir)}
    known_images = {row.digest: _words(places[row.case.case_id]) for row in read_index(project_dir)}
    found = []
    for draft, seen in zip(gathered.drafts, gathered.seen, strict=True):
        if only is not None and draft.name not in only:
            continue
        who = tokens(draft.patient or "")
        if who and who in known_patients:
            found.append(Overlap("patient", str(draft.patient), draft.name, known_patients[who]))
        elif seen.digest in known_images:
            found.append(Overlap("identical image", draft.name, draft.name, known_images[seen.digest]))
    return found


def compares_patients(project_dir: Path, gathered: Gathered) -> bool:
    """Whether both cohorts know patients; otherwise only pixels could be compared."""
    return read_splits(project_dir)["grouped_by"] == "patient" and gathered.patient_known


def refuse_overlap(overlaps: Sequence[Overlap], here: str, there: str, override: str) -> None:
    """Stop where anybody is in both cohorts, by name; for the terminal only.

    here, there  the two cohorts in words
    override     the option by which the overlap is accepted
    """
    if not overlaps:
        return
    lines = []
    for kind in ("patient", "identical image"):
        some = [o for o in overlaps if o.kind == kind]
        names = list(dict.fromkeys(o.name for o in some))
        if names:
            verb = "is" if len(names) == 1 else "are"
            lines.append(f"{len(names)} {kind}{'' if len(names) == 1 else 's'} of {here} {verb} in {there} too:")
            shown = {o.name: o for o in reversed(some)}
            lines += [f"  {_told(shown[name])}" for name in names[:SHOWN]]
            lines += [f"  and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    raise Refused(
        "overlap",
        "\n".join(lines) + "\nThe model may have learned from them, so a score on them would flatter.",
        "take them out; if the ids only look alike (two hospitals that count from 1), "
        f'say why with {override} "REASON": the reason goes into the ledger',
    )


def _told(overlap: Overlap) -> str:
    if overlap.kind == "patient":
        return f"patient {overlap.name} ({overlap.case}): {overlap.place}"
    return f"the pixels of {overlap.case}: {overlap.place}"


def _words(place: str | int) -> str:
    return f"fold {place}" if isinstance(place, int) else PLACES.get(place, place)
