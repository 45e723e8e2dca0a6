"""A folder of made images as training cases beside a project: who they are, what they show, and what is refused of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from overread.cohort.ask import NoTruth
from overread.cohort.beside import MadeBeside
from overread.cohort.check import record_files
from overread.cohort.gather import Gathered, gather
from overread.cohort.identity import read_links
from overread.cohort.index import Cohort, read_index
from overread.cohort.load import load_whole_image
from overread.cohort.made import HELD_OUT, IN_WORDS
from overread.cohort.progress import Progress
from overread.core.case import Case
from overread.core.errors import OverreadError, Refused
from overread.imaging.archive import file_of
from overread.imaging.made import DERIVED
from overread.imaging.picture_png import has_corner
from overread.record.files import digest_json
from overread.workflow.cohorts.elsewhere import Columns, refuse_another_kind, request_elsewhere
from overread.workflow.generation.followed import checked_for_held_out
from overread.workflow.project import Project
from overread.workflow.sample import CLASS_COLUMN, LABELS

MARK = "M-"  # begins the name of a case that is beside the cohort


@dataclass(frozen=True)
class MadeImages:
    """A folder of made images, as a user names it.

    truth, sheet  masks, or a sheet of their classes; where neither is given, the sheet that `overread sample` writes into the
                  folder, else the names of its subfolders
    label, id_column  columns of the sheet; None takes those of the project
    names         value in the truth -> class of the project
    """

    folder: Path
    truth: Path | None = None
    sheet: Path | None = None
    label: str | None = None
    id_column: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)


def made_beside(
    project: Project, cohort: Cohort, made: MadeImages, progress: Progress | None, fold: int | None = None
) -> MadeBeside:
    """The images of the folder as training cases; refused where one is not synthetic, or shows who is held out.

    fold  the fold that the cohort holds out
    """
    if not made.folder.is_dir():
        raise OverreadError(f"There is no folder {made.folder}.", "give a folder of made images, e.g. one of `overread sample`")
    gathered = _gathered(project, made, progress)
    refuse_another_kind(project, gathered)
    _refuse_acquired(project, gathered)
    _refuse_other_units(cohort, gathered)
    _refuse_known(project, cohort, gathered)
    _refuse_corners(gathered)
    _refuse_alike(gathered)
    images, truths = gathered.images_folder, gathered.truth_folder
    cases, grids = dict[str, Case](), {}
    for draft, seen in zip(gathered.drafts, gathered.seen, strict=True):
        truth = gathered.truths[draft.name]
        name = f"{MARK}{digest_json([seen.digest, dict(truth.values), seen.content]).removeprefix('sha256:')[:16]}"
        cases[name] = Case(name, name, name, draft.images, truth, covariates=draft.covariates, origin="generated")
        assert seen.grid is not None
        grids[name] = seen.grid
    roots = {"images": images, "truth": truths or images}
    places = {("images", file_of(images, f)) for case in cases.values() for i in case.images for f in i.files}
    places |= {("truth", file_of(roots["truth"], f)) for case in cases.values() if case.truth for f in case.truth.files}
    home = project.path.resolve()
    files = tuple(record_files(places, roots, progress))
    masks = {version.path: version.sha256 for version in files if version.root == "truth"}
    return MadeBeside(
        Path(os.path.relpath(images.resolve(), home)).as_posix(),
        "" if truths is None else Path(os.path.relpath(truths.resolve(), home)).as_posix(),
        tuple(cases[name] for name in sorted(cases)),
        grids,
        files,
        checked_for_held_out(cohort, fold, gathered, masks),
        tuple(_of_twins(len(gathered.drafts), len(cases))),
    )


def _gathered(project: Project, made: MadeImages, progress: Progress | None) -> Gathered:
    sheet, label, column = made.sheet, made.label, made.id_column
    if sheet is None and made.truth is None and (made.folder / LABELS).is_file():
        sheet, label, column = made.folder / LABELS, label or CLASS_COLUMN, column or "image"
    columns = Columns(id_column=column, label=() if label is None else (label,))
    request = request_elsewhere(project, made.folder, made.truth, sheet, columns, made.names, {}, False)
    if sheet is None and made.truth is None:  # classes of subfolders: no column of the project's sheet is meant
        request = replace(request, group_by=None)
    try:
        return gather(replace(request, headers=None), progress)
    except NoTruth as error:
        raise _without_truth(project, made) from error


def _without_truth(project: Project, made: MadeImages) -> OverreadError:
    """What would say what made images show, and how to come by it."""
    if project.question.task == "segmentation":
        return OverreadError(
            f"Nothing says where the structures are in the images of {made.folder}: no folder of masks was named.",
            "name their masks with --truth FOLDER; `overread sample MODEL --along MASKS` writes them beside the images it makes",
        )
    return OverreadError(
        f"Nothing says what the images of {made.folder} show: it holds no {LABELS} and no folder for each class, and no sheet "
        "was named.",
        f"name a sheet with --sheet FILE --id-column COLUMN --label COLUMN; `overread sample MODEL --each-class` writes {LABELS} "
        "beside the images it makes",
    )


def _refuse_acquired(project: Project, gathered: Gathered) -> None:
    """What no network made has another way in; what a network changed shows a patient, and only the project knows whose."""
    kinds = Counter(s.made for s in gathered.seen)
    first = {s.made: d.name for d, s in zip(reversed(gathered.drafts), reversed(gathered.seen), strict=True)}
    if kinds[""]:
        raise Refused(
            "not-made",
            f"{kinds['']} of {len(gathered.seen)} images carry no mark of a synthetic image, {first['']} for example: they are "
            "taken as images of patients.",
            f"take patients' images in with `{project.command('update')}`; images of another program are marked when they are "
            "written with overread.imaging.pictures.write_picture",
        )
    if kinds[DERIVED]:
        raise Refused(
            "made-by-a-network",
            f"{kinds[DERIVED]} images were {IN_WORDS[DERIVED]}, {first[DERIVED]} for example: they show patients, who may "
            "be held out here.",
            "put them beside the project's images with their patients named, and take them in with "
            f"`{project.command('update')}`",
        )


def _refuse_corners(gathered: Gathered) -> None:
    """A word in the corner of made images alone is learned before anything else."""
    drawn = [f for d in gathered.drafts for i in d.images for f in i.files if has_corner(gathered.images_folder / f)]
    if drawn:
        raise Refused(
            "made-by-a-network",
            f"{len(drawn)} made images have the word SYNTHETIC drawn into a corner, {drawn[0]} for example: a network would "
            "learn the word, not what they show.",
            'make them without it: `overread sample MODEL --no-corner "they train a network" --out FOLDER`; the mark stays in '
            "each file's text",
        )


def _refuse_alike(gathered: Gathered) -> None:
    """A network that makes one image over and over has nothing to teach, and its count of images says the contrary."""
    count, different = len(gathered.seen), len({seen.digest for seen in gathered.seen})
    if 2 * different < count:
        raise OverreadError(
            f"Of {count} made images only {different} differ in their pixels; the others repeat them.",
            "look at the images (their sheet lies beside the folder of `overread sample`), and make them with a model, or seeds, "
            "that do not repeat themselves",
        )


def _of_twins(count: int, kept: int) -> list[str]:
    if count == kept:
        return []
    return [f"{count - kept} of {count} made images have the pixels and the truth of another one; each counts once."]


def _refuse_other_units(cohort: Cohort, gathered: Gathered) -> None:
    """Hounsfield units beside arbitrary ones are another modality; one image of the project is opened."""
    own = load_whole_image(cohort, cohort.of("training")[0])
    wrong = [s for s in gathered.seen if s.units != own.units or len(s.channels) != len(own.channels)]
    if wrong:
        raise OverreadError(
            f"{len(wrong)} made images have {len(wrong[0].channels)} channels in {wrong[0].units}; those of the project have "
            f"{len(own.channels)} in {own.units}.",
            "give images of the same modality, made by a model that learned from such",
        )


def _refuse_known(project: Project, cohort: Cohort, gathered: Gathered) -> None:
    """A copy of a project's image, or an image of a patient who is tuned or tested on."""
    place = {row.digest: cohort.partition.get(row.case.case_id, "internal") for row in read_index(project.path)}
    copies = [place[s.digest] for s in gathered.seen if s.digest in place]
    if copies:
        raise Refused(
            "made-by-a-network",
            f"{len(copies)} of these images have the pixels of images of the project, of {copies[0]} cases for example.",
            "take them out of the folder: what is there already adds nothing, and what is held out must not train",
        )
    held = {x.original_patient for x in read_links(project.path) if cohort.partition.get(x.case_id) in ("tuning", "internal")}
    wrong = [d.name for d in gathered.drafts if d.patient is not None and d.patient in held]
    if wrong:
        raise Refused(
            "made-by-a-network",
            f"{len(wrong)} images were made {HELD_OUT}: {wrong[0]} for example.",
            "take them out of the folder: whoever is tuned or tested on must not train",
        )


def sizes_note(cohort: Cohort, beside: MadeBeside) -> str:
    """What has to be said where made images have a size that no training image of the project has; "" where all have one."""
    own = {cohort.grids[case.case_id].shape for case in cohort.of("training") if not case.is_made}
    other = sorted({beside.grids[case.case_id].shape for case in beside.cases} - own)
    if not other:
        return ""
    return (
        f"Made images have a size that no training image has ({_size(other[0])} against {_size(min(own))} voxels, for example). "
        "All are brought to the plan's size, and a network may tell the made ones by how sharp they are."
    )


def _size(shape: tuple[int, ...]) -> str:
    kept = shape[1:] if shape[0] == 1 else shape
    return " x ".join(map(str, kept))
