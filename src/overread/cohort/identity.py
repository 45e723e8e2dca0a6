"""Pseudonyms, and the table that leads back from them; spellings of one patient; the secret of a cohort."""

from __future__ import annotations

import csv
import hmac
import io
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from overread.cohort.match import tokens
from overread.core.errors import OverreadError
from overread.record.files import digest_bytes, write_bytes, write_text

LETTERS = {"case": "C", "patient": "P", "exam": "E"}


@dataclass(frozen=True)
class Link:
    """One line of cohort/private/link.csv: what stands behind a case."""

    case_id: str
    patient_id: str
    exam_id: str
    original_name: str
    original_patient: str
    original_exam: str
    sheet_id: str
    files: str  # parted by |


def cohort_key(digests: Iterable[str]) -> bytes:
    """The secret of a cohort, drawn from the pixels themselves: the same images give the same pseudonyms,
    and nobody without the images can compute them."""
    return bytes.fromhex(digest_bytes(d.encode() for d in sorted(digests)).removeprefix("sha256:"))


def pseudonyms(kind: str, originals: Iterable[str], key: bytes, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """original -> pseudonym ('C-0001'), numbered in the order of a keyed hash, so that the order tells nothing.

    known  pseudonyms already given; new ones are numbered on
    """
    given = dict(known or {})
    fresh = sorted(set(originals) - set(given), key=lambda name: hmac.new(key, f"{kind}|{name}".encode(), "sha256").digest())
    first = 1 + max((int(p.split("-")[1]) for p in given.values()), default=0)
    width = max(4, len(str(first + len(fresh))))
    given.update({name: f"{LETTERS[kind]}-{first + k:0{width}d}" for k, name in enumerate(fresh)})
    return given


def refuse_spellings(patients: Iterable[str]) -> None:
    """Stop where two patient ids differ only in case, separators or zeros in front: one person, or a slip."""
    spellings: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for patient in patients:
        spellings[tokens(patient)].add(patient)
    pairs = [sorted(s) for s in spellings.values() if len(s) > 1]
    if pairs:
        some = "; ".join(" and ".join(repr(p) for p in pair) for pair in pairs[:5])
        raise OverreadError(
            f"{len(pairs)} patient id{'s are' if len(pairs) > 1 else ' is'} written in more than one way: {some}. "
            "If they are one person, one could be trained on and tested on.",
            "write one person's id in one way; if they are different people, make the ids differ by more than case, "
            "separators or zeros in front",
        )


def private_folder(project_dir: Path) -> Path:
    folder = Path(project_dir) / "cohort" / "private"
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    return folder


def write_links(project_dir: Path, links: Sequence[Link]) -> None:
    """Write the link table and make it readable by its owner only."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Link.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(link) for link in sorted(links, key=lambda link: link.case_id))
    path = private_folder(project_dir) / "link.csv"
    write_text(path, text.getvalue())
    os.chmod(path, 0o600)


def read_links(project_dir: Path) -> list[Link]:
    path = Path(project_dir) / "cohort" / "private" / "link.csv"
    if not path.exists():
        raise OverreadError(
            "The link table cohort/private/link.csv is missing, so originals cannot be found again.", "restore it from a copy"
        )
    with open(path, encoding="utf-8", newline="") as file:
        return [Link(**row) for row in csv.DictReader(file)]


def write_key(project_dir: Path, key: bytes) -> None:
    path = private_folder(project_dir) / "key"
    write_bytes(path, key)
    os.chmod(path, 0o600)


def read_key(project_dir: Path) -> bytes:
    return (Path(project_dir) / "cohort" / "private" / "key").read_bytes()
