"""The part of the page that shows the maps: each with its stamp, what was withheld, what a map can and cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from overread.reporting.page_parts import Block, Part, Picture, Pictures, Section, Table, Words
from overread.reporting.words import listed

Row = Mapping[str, Any]
STAMPS = {"passed": "passed", "failed": "failed", "incomplete": "incomplete"}
GENERAL = (
    "A map says where the number changes that the network computes. It does not say that there is disease, nor why the network "
    "learned to look there: a map on the lesion can come with a wrong answer, and a right answer with a map on a marker. Read it "
    "beside the image, never in place of it."
)


def maps_section(part: Part) -> Section:
    """The section of the part "maps"."""
    record = part.record
    return Section("maps", "Maps", _lead(record), tuple(_blocks(record, part.pictures)))


def _lead(record: Row) -> str:
    maps = [one for case in record["cases"] for one in case["maps"] if one.get("file")]
    withheld = [row["title"] for row in record["methods"] if row["is_withheld"]]
    said = f"{_counted(len(maps), 'map')} of {_counted(record['n_cases'], 'case')}"
    methods = list(dict.fromkeys(one["title"] for one in maps))
    said += f", by {listed(methods)}." if methods else "."
    if withheld:
        said += f" Withheld, as {'it' if len(withheld) == 1 else 'they'} failed on trial: {listed(withheld)}."
    return said


def _blocks(record: Row, pictures: Mapping[str, bytes]) -> Iterator[Block]:
    yield Words(GENERAL)
    if not record["has_trial"]:
        yield Words("No method has been put on trial for this model, so every map is stamped as not tried.", is_warning=True)
    for row in record["methods"]:
        if row["is_withheld"]:
            why = f"{row['title']} was withheld: it failed its trial for this model. {_sentence(row['why'])}"
            yield Words(f"{why} `--show-failed` shows such maps, framed in red.".strip(), is_warning=True)
    yield _table(record["methods"])
    yield from _reasons(record["methods"])
    for case in record["cases"]:
        yield from _case(case, record, pictures)
    for note in record["notes"]:
        yield Words(note)


def _table(methods: Sequence[Row]) -> Table:
    cells = []
    for row in methods:
        verdict = STAMPS.get(row["verdict"], "not tried")
        unit = row["unit"][:1].upper() + row["unit"][1:]
        cells.append((row["title"], verdict, row["tells"], row["cannot"], unit, row["seconds"]))
    return Table(
        "What the maps of each method can tell",
        ("method", "trial", "it can tell", "it cannot tell", "what a value is", "seconds per map"),
        cells,
        "passed means that the method failed none of the trial's criteria on this model, not that its maps are right.",
    )


def _reasons(methods: Sequence[Row]) -> Iterator[Block]:
    for row in methods:
        if row["left_out"]:
            yield Words(f"{row['title']} was left out: {row['left_out']}.")
        for refusal in row["refusals"]:
            yield Words(f"{row['title']} cannot be asked of this network: {refusal}.")


def _case(case: Row, record: Row, pictures: Mapping[str, bytes]) -> Iterator[Block]:
    about = [f"{case['case_id']} ({case['why']})", case["told"] or (f"answer {case['answer']}" if case["answer"] else "")]
    heading = ": ".join(words for words in about if words)
    if case["refusal"]:
        yield Words(f"{heading}: it was not explained: {case['refusal']}", is_warning=True)
        return
    if case["is_empty"]:
        what = f"no {record['target']}" if record["target"] else "nothing"
        yield Words(f"{heading}. The model answered {what} here, so there is nothing to be asked about.")
        return
    shown = [Picture(pictures[one["file"]], _caption(one), one["verdict"] == "failed") for one in case["maps"]
             if one.get("file") in pictures]  # fmt: skip
    if shown:
        yield Words(f"{heading}.")
    for warning in case["warnings"]:
        yield Words(warning, is_warning=True)
    for picture in shown:
        yield Pictures((picture,), is_wide=True)


def _caption(one: Row) -> str:
    words = [f"{one['title']} of {one['target']}"]
    if one["parameters_words"]:
        words.append(one["parameters_words"])
    words.append(f"{one['score_words'].removeprefix('the ')}: {one['score']:.3g}")
    if one["verdict"] == "failed":
        words.append("this method failed its trial: do not believe this map")
    elif one["verdict"] != "passed":
        words.append("trial incomplete" if one["verdict"] == "incomplete" else "not tried")
    return f"{'; '.join(words)}."


def _sentence(words: str) -> str:
    if not words:
        return ""
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
