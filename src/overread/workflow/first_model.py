"""The first model of a cascade: which one `[region]` names, and where it finds its structure in the cases of a project."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from torch import nn

from overread.cohort.index import Cohort, current_digest
from overread.cohort.load import load_image
from overread.cohort.progress import Progress, counted
from overread.cohort.regions import read_regions, write_regions
from overread.core.errors import OverreadError
from overread.core.region import Region
from overread.reading.model import ModelCard, load_network, predictor_of
from overread.reading.region import Finder
from overread.workflow.project import Project
from overread.workflow.read import as_trained
from overread.workflow.settings import Settings

OUTLINES, PER_IMAGE = "segmentation", ("segmentation", "classification", "regression")


@dataclass(frozen=True)
class FirstModel:
    """The first model, as it will travel in the file of the second."""

    card: ModelCard
    network: nn.Module
    region: Region


def first_model_of(project: Project, settings: Settings) -> FirstModel | None:
    """What `[region]` of project.toml names; None where it names nothing."""
    asked = settings.region
    if not asked.model:
        return None
    if project.question.task not in PER_IMAGE:
        raise OverreadError(
            f"[region] cuts images to a structure, and this project asks for {project.question.task}: objects at the cut would "
            "be halved.",
            "take the section out; a second model of a region answers with outlines, classes or numbers",
        )
    path = Path(asked.model).expanduser()
    path = path if path.is_absolute() else project.path / path
    if not path.exists():
        raise OverreadError(
            f"There is no first model at {path}.", "correct [region] model in project.toml; it is relative to the project"
        )
    card, network = _loaded(path, path.stat().st_mtime_ns)
    structures = card.question.classes if card.question.task == OUTLINES else ()
    if not structures or card.members or card.first is not None:
        raise OverreadError(
            f"The first model {path.name} is not one network that outlines structures in whole images.",
            "give a model that was trained on masks",
        )
    structure = asked.structure or (structures[0] if len(structures) == 1 else "")
    if structure not in structures:
        said = f"no '{structure}'" if structure else f"{len(structures)} structures"
        raise OverreadError(
            f"The first model {path.name} outlines {said}; it knows {', '.join(structures)}.",
            "name one of them under [region] structure",
        )
    return FirstModel(card, network, Region(card.sha256, structure, float(asked.margin_mm)))


@lru_cache(maxsize=2)
def _loaded(path: Path, changed: int) -> tuple[ModelCard, nn.Module]:
    return load_network(path)


def with_regions(project: Project, cohort: Cohort, first: FirstModel | None, progress: Progress | None) -> Cohort:
    """The cohort with a box for every case, found by the first model where none is kept; images only, no truth is read."""
    if first is None:
        return cohort
    version = current_digest(project.path)
    known = {k: box for k, box in read_regions(project.path, version).items() if box.of == first.region}
    cases = [case for case in cohort.cases if case.case_id not in known]
    if cases:
        finder = Finder(predictor_of(first.card, first.network))
        for case in counted(cases, len(cases), f"Finding {first.region.structure} in every image", progress):
            image, _ = as_trained(load_image(cohort, case), first.card)
            known[case.case_id] = finder.find(image, first.region)
        write_regions(project.path, version, first.region, known)
    return replace(cohort, boxes=known)
