"""What damaged files do to the readers: 20,000 of them from a fixed seed, each read or refused by name.

    python benchmarks/fuzz.py                          # 20,000 files, some 20 minutes
    python benchmarks/fuzz.py --files 2000 --formats dicom,nifti
    python benchmarks/fuzz.py --only 1234 --keep FOLDER   # one of them again, with its traceback and the file

Files are read in a child process, some thousand in each; a file that crashes it, hangs it or fills its memory is
counted, and the next child goes on behind it. The command fails where anything but an image, labels or a named
refusal came out, where a file took more than 5 seconds of processor time, or more than 2 GiB of memory.
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from common import RESULTS, Started, parser, run, say_result, shared_data, table, write_result
from fuzz_changes import damage
from fuzz_readers import Place
from fuzz_seeds import PICTURE_NAME, Seed, all_seeds

from overread.core.errors import OverreadError, Refused

SHARES = {  # of each format among the files
    "dicom": 30,
    "dicom labels": 10,
    "nifti": 18,
    "coco": 8,
    "labelme": 5,
    "via": 5,
    "voc": 3,
    "yolo": 3,
    "nrrd": 4,
    "mha": 3,
    "raster": 4,
    "npz": 2,
    "zip": 1,
    "sheet": 2,
    "workbook": 2,
}
PER_CHILD = 2500
MOST_SECONDS, MOST_WAITED = 5.0, 300.0  # of processor time; of wall time, on a machine that others use too
MOST_MEMORY = 2 << 30
ROOM = 4 << 30  # address space that a child may add; what asks for more fails in it, and the machine stays whole
UNUSUAL = "in an unusual way"  # how a scan words what no reader had named
SHOWN = 12


class TooLong(BaseException):
    """Raised from the alarm; nothing between the reader and here may swallow it."""


@dataclass(frozen=True)
class Answer:
    """What became of one file.

    outcome   "read", "refused", or the fault: "exception", "slow", "memory", "hang", "crash"
    codes     refusals by the ways in
    seconds   of processor time; waited is wall time
    megabytes peak of the process while it read the file; decoders is the most that any decoder's process held so far
    """

    number: int
    format: str
    seed: str
    change: str
    outcome: str
    codes: tuple[str, ...] = ()
    seconds: float = 0.0
    waited: float = 0.0
    megabytes: int = 0
    decoders: int = 0
    said: str = ""
    size: int = 0


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--files", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=3)
    options.add_argument("--formats", default=",".join(SHARES), help="only these, with a comma between")
    options.add_argument("--first", type=int, default=0, help="number of the first file")
    options.add_argument("--only", type=int, help="read one file in this process, with its traceback")
    options.add_argument("--keep", type=Path, help="folder for the files that made trouble, or for the one of --only")
    asked = options.parse_args()
    warnings.simplefilter("ignore")
    started = Started()
    seeds = _by_format(all_seeds(shared_data()), asked.formats.split(","))
    with tempfile.TemporaryDirectory(prefix="overread-fuzz-") as folder:
        place = Place(Path(folder), shared_data() / "dicom" / "seg_sr_rt")
        if asked.only is not None:
            _one(asked, seeds, place)
            return
        answers = _all(asked, seeds, place)
    faults = [a for a in answers if a.outcome not in ("read", "refused")]
    _report(started, asked, answers, faults)
    if faults:
        sys.exit(f"{len(faults)} files were neither read nor refused by name")


def _by_format(seeds: Sequence[Seed], formats: Sequence[str]) -> dict[str, list[Seed]]:
    found: dict[str, list[Seed]] = defaultdict(list)
    for seed in seeds:
        if seed.format in formats:
            found[seed.format].append(seed)
    return found


def made(number: int, chance_seed: int, seeds: dict[str, list[Seed]]) -> tuple[Seed, bytes, str]:
    """The damaged file of a number: always the same."""
    chance = random.Random(f"{chance_seed}/{number}")
    formats = sorted(seeds)
    format = chance.choices(formats, [SHARES[f] for f in formats])[0]
    seed = chance.choice(seeds[format])
    content, change = damage(chance, seed)
    return seed, content, change


# ---- one file ---------------------------------------------------------------------------------------


def read(number: int, seed: Seed, content: bytes, change: str, place: Place) -> Answer:
    """Write a file, try every way in, and say what came of it."""
    path = place.files / f"{Path(PICTURE_NAME).stem}{seed.suffix}"
    path.write_bytes(content)
    base = (number, seed.format, seed.name, change)
    codes: list[str] = []
    outcome, said, was_read = "refused", "", False
    _forget_peak()
    before, clock = _processor(), time.monotonic()
    for way in place.ways(seed.format):
        try:
            way(path)
            was_read = True
        except Refused as refused:
            codes.append(f"{refused.code} ({UNUSUAL})" if UNUSUAL in refused.what else refused.code)
            if UNUSUAL in refused.what:
                said = said or refused.what[-300:]
        except OverreadError:
            codes.append("error")
        except TooLong:
            outcome, said = "hang", traceback.format_exc(limit=-6)
            break
        except MemoryError:
            outcome, said = "memory", traceback.format_exc(limit=-6)
        except Exception:
            outcome, said = "exception", traceback.format_exc(limit=-6)
    seconds, waited = _processor() - before, time.monotonic() - clock
    path.unlink()
    peak, decoders = _peak(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    if outcome == "refused":
        outcome = (
            "memory"
            if max(peak, decoders) > MOST_MEMORY
            else "slow"
            if seconds > MOST_SECONDS
            else "read"
            if was_read
            else "refused"
        )
    return Answer(
        *base, outcome, tuple(codes), round(seconds, 3), round(waited, 3), peak >> 20, decoders >> 20, said, len(content)
    )


def _processor() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _peak() -> int:
    """Bytes this process held at most since `_forget_peak`."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM"))


def _one(asked: argparse.Namespace, seeds: dict[str, list[Seed]], place: Place) -> None:
    seed, content, change = made(asked.only, asked.seed, seeds)
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
        (asked.keep / f"case{asked.only}{seed.suffix}").write_bytes(content)
    for name, value in asdict(read(asked.only, seed, content, change, place)).items():
        print(f"{name:10} {value}")


# ---- many files -------------------------------------------------------------------------------------


def _all(asked: argparse.Namespace, seeds: dict[str, list[Seed]], place: Place) -> list[Answer]:
    answers: list[Answer] = []
    number, end, told = asked.first, asked.first + asked.files, time.monotonic()
    while number < end:
        receiving, child = _start(number, min(number + PER_CHILD, end), asked.seed, seeds, place)
        while True:
            answer = _next(receiving, child)
            if answer is None:
                break
            if isinstance(answer, str):  # the child ended over this file
                seed, content, change = made(number, asked.seed, seeds)
                answer = Answer(number, seed.format, seed.name, change, *_how(answer), size=len(content))
            answers.append(answer)
            if answer.outcome not in ("read", "refused"):
                _tell(answer, asked, seeds)
            number = answer.number + 1
            if answer.outcome == "crash" or (answer.outcome == "hang" and not answer.said):
                break
            if time.monotonic() - told > 30:
                told = time.monotonic()
                print(f"{number - asked.first:6} of {asked.files}", file=sys.stderr, flush=True)
        child.join()
    return answers


def _how(end: str) -> tuple[str]:
    return ("hang",) if end == "hang" else ("crash",)


def _start(first: int, end: int, chance_seed: int, seeds: dict[str, list[Seed]], place: Place) -> tuple[Connection, Any]:
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(first, end, chance_seed, seeds, place, sending))
    child.start()
    sending.close()
    return receiving, child


def _next(receiving: Connection, child: Any) -> Answer | str | None:
    """The next answer, how the child ended over a file ("hang", "crash"), or None where it is done."""
    if not receiving.poll(MOST_WAITED + 10):
        child.kill()
        child.join()
        return "hang"
    try:
        answer: Answer | None = receiving.recv()
    except EOFError:
        child.join()
        return "crash"
    return answer


def _child(first: int, end: int, chance_seed: int, seeds: dict[str, list[Seed]], place: Place, sending: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries complain there of what is refused by name
    faulthandler.disable()
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGPROF, _too_long)
    with open("/proc/self/statm") as file:
        held = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + ROOM, held + ROOM))
    for number in range(first, end):
        seed, content, change = made(number, chance_seed, seeds)
        signal.setitimer(signal.ITIMER_PROF, 2 * MOST_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, MOST_WAITED)
        try:
            answer = read(number, seed, content, change, place)
        except TooLong:  # between two ways in
            answer = Answer(number, seed.format, seed.name, change, "hang", said="between two readers")
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        sending.send(answer)
    sending.send(None)


def _too_long(signal_number: int, frame: object) -> None:
    raise TooLong


# ---- telling ----------------------------------------------------------------------------------------


def _tell(answer: Answer, asked: argparse.Namespace, seeds: dict[str, list[Seed]]) -> None:
    what = f"{answer.format} {answer.seed} {answer.change}"
    about = f"{answer.outcome}: {answer.number} {what} {answer.seconds} s {answer.megabytes} MB"
    print(about, answer.said, sep="\n", file=sys.stderr, flush=True)
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
        seed, content, _ = made(answer.number, asked.seed, seeds)
        (asked.keep / f"case{answer.number}{seed.suffix}").write_bytes(content)


def _report(started: Started, asked: argparse.Namespace, answers: Sequence[Answer], faults: Sequence[Answer]) -> None:
    formats: dict[str, Counter[str]] = defaultdict(Counter)
    codes: Counter[str] = Counter()
    for answer in answers:
        formats[answer.format][answer.outcome] += 1
        if answer.outcome == "refused":
            codes.update(set(answer.codes))
    slowest, largest = max(answers, key=lambda a: a.seconds), max(answers, key=lambda a: a.megabytes)
    decoders = max(answer.decoders for answer in answers)
    figures = {
        "files": len(answers),
        "by_format": {name: dict(counts) | {"files": counts.total()} for name, counts in sorted(formats.items())},
        "refused_by_code": dict(codes.most_common()),
        "faults": [asdict(fault) for fault in faults[:100]],
        "faults_in_all": len(faults),
        "slowest": asdict(slowest),
        "largest": asdict(largest),
        "peak_megabytes": largest.megabytes,
        "peak_megabytes_of_decoders": decoders,
    }
    spread = {"seconds_by_file": _quantiles([a.seconds for a in answers])}
    settings = {
        "files": asked.files,
        "seed": asked.seed,
        "formats": asked.formats.split(","),
        "seconds": MOST_SECONDS,
        "gibibytes": 2,
    }
    path = write_result("fuzz", started, settings=settings, figures=figures, spread=spread)
    kinds = ("files", "read", "refused", "exception", "slow", "hang", "memory", "crash")
    rows = [[name, counts.total(), *(counts[kind] for kind in kinds[1:])] for name, counts in sorted(formats.items())]
    total = Counter(answer.outcome for answer in answers)
    lines = table(["format", *kinds], [*rows, ["all", len(answers), *(total[kind] for kind in kinds[1:])]])
    lines += ["", *table(["refused as (a file may be refused in several ways)", "files"], codes.most_common())]
    for what, a in (("slowest", slowest), ("most memory", largest)):
        lines.append(f"{what}: {a.seconds} s, {a.megabytes} MB, {a.format} {a.seed}, {a.change} (number {a.number})")
    lines.append(f"peak of the processes that decode compressed pixels: {decoders} MB")
    assert path.parent == RESULTS
    say_result(path, lines)


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {f"{share:g} %": ordered[min(int(len(ordered) * share / 100), len(ordered) - 1)] for share in (50, 90, 99, 99.9, 100)}


if __name__ == "__main__":
    run(main)
