"""The errors of an evaluation case by case, for its browser in the report: the surest wrong calls, the largest errors first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overread.reporting.case_files import CaseFiles
from overread.reporting.given import Record

MOST = 200  # in the page
MOST_MEASURED = 60  # largest errors of a number or a mask: every case has one
DICE = "dice/"
LIKENESS = "ssim/"


@dataclass(frozen=True)
class Wrong:
    """One error.

    state  "false positive", "false negative", "wrong class"; "too high" or "too low"; "missed", "drawn where nothing is",
           "drawn elsewhere", "no overlap" or "drawn otherwise"
    of     the finding, quantity or structure; of several classes the true one
    value  how sure the model was of a wrong call, 0 to 1; else the error, by which rows are sorted
    told   the error in words, where it is no probability
    """

    row: Mapping[str, Any]
    state: str
    of: str
    truth: str
    answer: str
    value: float
    told: str = ""


@dataclass(frozen=True)
class CaseError:
    """An error with everything that stands beside it. groups: (column, group); similar: words, by closeness; slices: words."""

    wrong: Wrong
    case_id: str
    patient_id: str
    picture: bytes | None
    map: tuple[bytes, str] | None
    groups: tuple[tuple[str, str], ...]
    similar: tuple[str, ...]
    note: str
    slices: str = ""


def wrong_rows(rows: Sequence[Mapping[str, Any]], question: Record | None = None) -> list[Wrong]:
    """The errors of cases that are not lists of objects, the surest or the largest first.

    question  names the class that is sought where there are two; without it their errors are "wrong class"
    """
    found = [wrong for row in rows if "refused" not in row for wrong in _of_row(row, question)]
    ordered = sorted(found, key=lambda w: (-w.value, w.row["case_id"], w.of))
    is_call = any("called" in row for row in rows)
    return ordered if is_call else ordered[:MOST_MEASURED]


def errors_section(evaluation: Record, files: CaseFiles, partition: str) -> dict[str, Any] | None:
    """Everything that the browser shows; None where there is no error, or where objects have a browser of their own."""
    rows = [row for row in evaluation["cases"] if "objects" not in row]
    wrong = wrong_rows(rows, evaluation["question"])
    if not wrong:
        return None
    pictures = files.pictures.get(partition, {})
    groups = sieves(files, [w.row["case_id"] for w in wrong])
    columns = [name for name, _ in groups]
    shown = [_beside(w, files, pictures, columns) for w in wrong[:MOST]]
    is_call = evaluation["task"] == "classification"
    return {
        "partition": partition,
        "is_call": is_call,
        "value": "Confidence" if is_call else "Error",
        "n": len(wrong),
        "n_cases": len(rows),
        "n_unanswered": sum("refused" in row for row in rows),
        "rows": shown,
        "states": list(dict.fromkeys(sorted(w.state for w in wrong))),
        "of": sorted({w.of for w in wrong}),
        "groups": groups,
        "has_pictures": any(row.picture for row in shown),
        "has_maps": any(row.map for row in shown),
        "has_similar": any(row.similar for row in shown),
        "has_slices": any(row.slices for row in shown),
    }


def notes_of(files: CaseFiles) -> list[tuple[str, str]]:
    """(case, note), in the order of the pseudonyms."""
    return sorted((case_id, note) for case_id, note in files.notes.items() if note.strip())


def similar_words(found: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """One line per similar case."""
    return tuple(f"{one['case_id']}: {one['truth']} ({one['distance']:.2f})" for one in found)


def sieves(files: CaseFiles, case_ids: Sequence[str]) -> list[tuple[str, list[str]]]:
    """(column, groups) by which these cases can be told apart."""
    found = [(name, sorted({cells[i] for i in case_ids if i in cells})) for name, cells in files.groups.items()]
    return [(name, groups) for name, groups in found if len(groups) > 1]


def groups_beside(files: CaseFiles, case_id: str, columns: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, files.groups[name].get(case_id, "not known")) for name in columns)


def _beside(wrong: Wrong, files: CaseFiles, pictures: Mapping[str, bytes], columns: Sequence[str]) -> CaseError:
    case_id = str(wrong.row["case_id"])
    return CaseError(
        wrong,
        case_id,
        str(wrong.row["patient_id"]),
        pictures.get(case_id),
        files.maps.get(case_id),
        groups_beside(files, case_id, columns),
        similar_words(files.similar.get(case_id, ())),
        files.notes.get(case_id, ""),
        files.slices.get(case_id, ""),
    )


def _of_row(row: Mapping[str, Any], question: Record | None) -> Iterator[Wrong]:
    if "called" in row:
        yield from _calls(row, question)
    elif any(key.startswith(DICE) for key in row["scores"]):
        yield from _masks(row)
    elif any(key.startswith(LIKENESS) for key in row["scores"]):
        yield from _images(row)
    elif not isinstance(row["truth"], str):  # a class without a call: an earlier form of evaluation
        yield from _numbers(row, question)


# ---- by task ----------------------------------------------------------------------------------------


def _calls(row: Mapping[str, Any], question: Record | None) -> Iterator[Wrong]:
    """Wrong calls: of exclusive classes one per case, of findings one for each."""
    truth, called, answer = row["truth"], list(row["called"]), row["answer"]
    if truth is None:
        return
    if isinstance(truth, Mapping):
        for name, value in truth.items():
            if value is None or (value > 0.5) == (name in called):
                continue
            state = "false positive" if name in called else "false negative"
            probability = float(answer[name] or 0.0)
            sure = probability if name in called else 1 - probability
            yield Wrong(row, state, name, "present" if value > 0.5 else "absent", _percent(probability), sure)
        return
    if called == [truth]:
        return
    chosen = called[0] if called else max(answer, key=lambda name: answer[name] or 0.0)
    sure = float(answer.get(chosen) or 0.0)
    positive = (question or {}).get("positive")
    state, of = "wrong class", str(truth)
    if positive is not None and len(answer) == 2:
        state, of = "false positive" if chosen == positive else "false negative", str(positive)
    yield Wrong(row, state, of, str(truth), f"{chosen} ({_percent(sure)})", sure)


def _numbers(row: Mapping[str, Any], question: Record | None) -> Iterator[Wrong]:
    """The quantity whose error is largest; in several, the largest of what is known."""
    if row["truth"] is None or row["answer"] is None:
        return
    names = list((question or {}).get("classes") or ["value"])
    units = list((question or {}).get("units") or ())
    truths = row["truth"] if isinstance(row["truth"], Mapping) else {names[0]: row["truth"]}
    answers = row["answer"] if isinstance(row["answer"], Mapping) else {names[0]: row["answer"]}
    known = [name for name in truths if truths[name] is not None and answers.get(name) is not None]
    if not known or not row["error"]:
        return
    name = max(known, key=lambda n: abs(answers[n] - truths[n]))
    unit = units[names.index(name)] if name in names and names.index(name) < len(units) else ""
    gap = answers[name] - truths[name]
    state = "too high" if gap > 0 else "too low"
    truth, answer = (f"{values[name]:.4g} {unit}".strip() for values in (truths, answers))
    yield Wrong(row, state, name, truth, answer, float(row["error"]), f"{gap:+.3g} {unit}".strip())


def _masks(row: Mapping[str, Any]) -> Iterator[Wrong]:
    """The structure whose overlap is least."""
    dice = {key.removeprefix(DICE): value for key, value in row["scores"].items() if key.startswith(DICE) and value is not None}
    if not dice or not row["error"]:
        return
    name = min(dice, key=lambda n: dice[n])
    truth, answer = ((row[key] or {}).get(name) for key in ("truth", "answer"))  # volumes, where there are any
    state = "drawn otherwise"
    if dice[name] == 0:
        state = "drawn elsewhere"
        if truth is None or answer is None:  # no volume is known of a plane
            state = "no overlap"
        elif not answer or not truth:
            state = "missed" if not answer else "drawn where nothing is"
    told = ", ".join(f"{n} {v:.3f}" for n, v in dice.items())
    yield Wrong(row, state, name, _volume(truth), _volume(answer), float(row["error"]), f"Dice {told}")


def _images(row: Mapping[str, Any]) -> Iterator[Wrong]:
    """The channel that is least like its truth; beside it the mean intensities."""
    scores = row["scores"]
    alike = {key.removeprefix(LIKENESS): value for key, value in scores.items() if key.startswith(LIKENESS) and value is not None}
    if not alike or not row["error"]:
        return
    name = min(alike, key=lambda n: alike[n])
    gain = scores.get(f"ssim_gain/{name}")
    state = "unlike the truth" if gain is None else f"{'worse' if gain < 0 else 'better'} than what was read"
    truth, answer = ((row[key] or {}).get(name) for key in ("truth", "answer"))
    told = ", ".join(f"{n} {v:.3f}" for n, v in alike.items())
    yield Wrong(row, state, name, _mean(truth), _mean(answer), float(row["error"]), f"SSIM {told}")


def _mean(value: float | None) -> str:
    return "–" if value is None else f"mean {value:.4g}"


def _volume(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g} ml"


def _percent(probability: float) -> str:
    return f"{100 * probability:.1f} %"
