"""The maps of several cases are made and wait on disk: only when all are there is it known where their colours end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.kinds import Findings, Measurements
from overread.core.question import Question
from overread.explanation.methods.layers import parameters_used
from overread.explanation.methods.occlusion import Occlusion
from overread.reading.answering import Answering
from overread.reporting.explanation.maps_words import score_words
from overread.workflow.explanations.maps.cases import Picked
from overread.workflow.explanations.maps.methods import Chosen, Wish
from overread.workflow.explanations.maps.one_map import Made, Topic, map_of, topics_of

AFFORDABLE = 60.0  # seconds for one map, of a method that nobody asked for by name
BRIGHT = 99.5  # percentile of a map, of what is not 0, from which on its colours may end


@dataclass(frozen=True)
class Asked:
    """A topic of a case, without the networks: what is left to be drawn and said.

    score         the number that the maps explain
    score_words   what it is, with its unit
    silent        networks of an ensemble that do not answer it
    """

    name: str
    number: int
    score: float
    score_words: str
    networks: int
    silent: int
    box: np.ndarray | None
    window: np.ndarray | None
    shelf: int | None


@dataclass(frozen=True)
class Waiting:
    """A map on the shelf, or why there is none.

    parameters  with the layer that was asked where none was named
    bright      the `BRIGHT` percentile of the sizes of its values, of those that are not 0
    """

    picked: Picked
    asked: Asked
    chosen: Chosen
    parameters: dict[str, Any]
    refusal: str = ""
    shelf: int | None = None
    seconds: float = 0.0
    bright: float = 0.0
    largest: float = 0.0
    smallest: float = 0.0


@dataclass
class MadeMaps:
    """What came of every case.

    maps      in the order in which they were made
    answers   case -> the answer in words
    nothing   cases in which nothing was answered that could be asked about
    refused   cases that could not be opened, or that the model refuses to read -> why
    doubts    cases -> what is to be said of the image
    simulated cases whose images say that they were computed
    left_out  methods that nobody asked for and that would take too long -> why
    """

    maps: list[Waiting] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    nothing: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    simulated: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


class Shelf:
    """Arrays in a folder that is gone afterwards: the maps of some large scans do not fit into memory together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def put(self, values: np.ndarray) -> int:
        self.count += 1
        np.save(self.folder / f"{self.count}.npy", values)
        return self.count

    def take(self, number: int) -> np.ndarray:
        return np.asarray(np.load(self.folder / f"{number}.npy"))


@contextmanager
def open_shelf() -> Iterator[Shelf]:
    with TemporaryDirectory(prefix="overread-maps-") as folder:
        yield Shelf(Path(folder))


def make_maps(
    answering: Answering,
    cases: Sequence[Picked],
    methods: Sequence[Chosen],
    wish: Wish,
    shelf: Shelf,
    progress: Progress | None,
    *,
    is_tolerant: bool,
) -> MadeMaps:
    """Ask every case by every method.

    is_tolerant  a case that cannot be opened is noted; else it ends the work
    """
    made = MadeMaps()
    if progress is not None:
        progress.start(len(cases), "Explaining")
    for picked in cases:
        try:
            image = picked.open()
            made.doubts[picked.name] = picked.doubts(image)
            made.simulated += [picked.name] * bool(image.source.get("is_simulated"))
            topics = topics_of(answering, image, wish.target)
        except OverreadError as refusal:
            if not is_tolerant:
                raise
            made.refused[picked.name] = refusal.what
            continue
        _explain(answering, picked, image, topics, methods, wish, shelf, made)
        if progress is not None:
            progress.advance(1, picked.name)
    if progress is not None:
        progress.finish()
    return made


def _explain(
    answering: Answering,
    picked: Picked,
    image: Image,
    topics: Sequence[Topic],
    methods: Sequence[Chosen],
    wish: Wish,
    shelf: Shelf,
    made: MadeMaps,
) -> None:
    question = answering.task.question
    made.answers[picked.name] = _answer(answering, image)
    if not topics:
        made.nothing.append(picked.name)
    for topic in topics:
        asked = _asked(topic, question, shelf)
        for chosen in methods:
            name = chosen.method.name
            if name in made.left_out:
                continue
            if not wish.methods and (why := _too_long(topic, chosen)):
                made.left_out[name] = why
                continue
            one = map_of(topic, chosen.method)
            if isinstance(one, str):
                made.maps.append(Waiting(picked, asked, chosen, chosen.parameters, refusal=one))
            else:
                parameters = parameters_used(chosen.method, topic.asked[0][0])
                made.maps.append(_waiting(picked, asked, chosen, parameters, one, shelf))


def _asked(topic: Topic, question: Question, shelf: Shelf) -> Asked:
    is_listed = question.is_of_objects and topic.asked[0][0].task.serves == "objects"
    return Asked(
        topic.name,
        topic.number,
        topic.score(),
        score_words(question, topic.number, is_listed=is_listed),
        len(topic.asked) + topic.silent,
        topic.silent,
        topic.box,
        topic.window,
        None if topic.voxels is None else shelf.put(topic.voxels),
    )


def _waiting(picked: Picked, asked: Asked, chosen: Chosen, parameters: dict[str, Any], one: Made, shelf: Shelf) -> Waiting:
    size = np.abs(one.values[one.values != 0])
    return Waiting(
        picked,
        asked,
        chosen,
        parameters,
        shelf=shelf.put(one.values),
        seconds=one.seconds,
        bright=float(np.percentile(size, BRIGHT)) if size.size else 0.0,
        largest=float(one.values.max()),
        smallest=float(one.values.min()),
    )


def _too_long(topic: Topic, chosen: Chosen) -> str:
    """Of a method that nobody asked for: why it is left out; "" where it is quick enough."""
    if not isinstance(chosen.method, Occlusion):
        return ""
    started = perf_counter()
    topic.score()
    seconds = (perf_counter() - started) * max(len(chosen.method.places(asked)) for asked, _ in topic.asked)
    if seconds <= AFFORDABLE:
        return ""
    return f"it would take about {seconds / 60:.0f} minutes for one map; ask for it with `--method {chosen.method.name}`"


def _answer(answering: Answering, image: Image) -> str:
    """The answer in words, where there is one per case."""
    if answering.task.serves != "image":
        return ""
    answer = answering.answer(answering.prepare(image))
    if isinstance(answer, Findings):
        return ", ".join(f"{name} {value:.2f}" for name, value in answer.probabilities.items() if value is not None)
    if isinstance(answer, Measurements):
        values = ((name, value, answer.units.get(name, "")) for name, value in answer.values.items() if value is not None)
        return ", ".join(f"{name} {value:.4g} {unit}".strip() for name, value, unit in values)
    return ""
