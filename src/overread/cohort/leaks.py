"""Does a split leak? One patient, or one identical image, on two sides of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from overread.core.errors import Refused

SHOWN = 5


@dataclass(frozen=True)
class Leak:
    """Something that lies in more than one partition.

    kind      "patient" or "identical image"
    name      the patient, or the first digits of the image's digest
    cases     positions of the cases
    contradicts  the truths of identical images differ
    """

    kind: str
    name: str
    cases: tuple[int, ...]
    contradicts: bool = False


def find_leaks(
    partition: Sequence[str], patients: Sequence[str], digests: Sequence[str], truths: Sequence[str] | None = None
) -> list[Leak]:
    """Patients and identical images that lie in more than one partition; arguments have one entry per case."""
    found = []
    for kind, names in (("patient", patients), ("identical image", digests)):
        members = defaultdict(list)
        for k, name in enumerate(names):
            members[name].append(k)
        for name, cases in members.items():
            if len({partition[k] for k in cases}) > 1:
                differ = kind != "patient" and truths is not None and len({truths[k] for k in cases}) > 1
                found.append(Leak(kind, name, tuple(cases), differ))
    return found


def find_duplicates(digests: Sequence[str]) -> list[tuple[int, ...]]:
    """Groups of cases with identical pixels."""
    members = defaultdict(list)
    for k, digest in enumerate(digests):
        members[digest].append(k)
    return [tuple(cases) for cases in members.values() if len(cases) > 1]


def refuse_leaks(leaks: Sequence[Leak], partition: Sequence[str], names: Sequence[str]) -> None:
    """Stop on a leak, naming the first of them with the files; for the terminal only.

    names  what the user calls each case
    """
    if not leaks:
        return
    lines = []
    for kind in ("patient", "identical image"):
        some = [leak for leak in leaks if leak.kind == kind]
        if not some:
            continue
        cases = sum(len(leak.cases) for leak in some)
        plural = kind if len(some) == 1 else f"{kind}s"
        verb = "lies" if len(some) == 1 else "lie"
        lines.append(f"{len(some)} {plural} ({cases} cases) {verb} in more than one partition:")
        lines += [f"  {_line(leak, partition, names)}" for leak in some[:SHOWN]]
        if len(some) > SHOWN:
            lines.append(f"  and {len(some) - SHOWN} more")
    raise Refused(
        "leak",
        "The given split leaks, so a score on its test part would flatter. " + "\n".join(lines),
        "draw a split by patient with --splits none, or correct the given one; to accept the leak, say why with "
        '--leak-override "REASON": the reason goes into the ledger and the report',
    )


def _line(leak: Leak, partition: Sequence[str], names: Sequence[str]) -> str:
    by_partition: dict[str, list[int]] = defaultdict(list)
    for k in leak.cases:
        by_partition[partition[k]].append(k)
    parts = [f"{p}: {names[ks[0]]}" + (f" and {len(ks) - 1} more" if len(ks) > 1 else "") for p, ks in by_partition.items()]
    title = f"patient {leak.name}" if leak.kind == "patient" else "the same pixels"
    return f"{title} - {'; '.join(parts)}" + ("; with contradicting truths" if leak.contradicts else "")
