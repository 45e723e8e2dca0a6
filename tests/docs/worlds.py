"""What the folder of a page's reader holds before the first command: images, sheets, projects, models."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import chdir
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from docs.quick import SETTINGS, run
from docs.studies import drawn_nodules, films, livers, write_sheet, write_study
from docs.tables import agreeing_reads, images_and_answers, labels, moved_masks, probabilities, reader_study
from overread.core.errors import Stopped
from overread.imaging.door import open_path
from overread.imaging.nifti import write_nifti
from overread.record.files import read_json, write_json
from overread.workflow.project import Project
from overread.workflow.train import train
from workflow.two_channels import cohort as two_sequences
from workflow.two_channels import write_exam

LIVER = "overread init liver --images studies --truth masks --sheet patients.csv --group-by patient"
OPEN = '--on internal --hypothesis "It finds the liver" --primary-endpoint dice/liver --margin 0.5'
PNEUMONIA = "overread init pneumonia --images films --sheet labels.csv --label pneumonia --positive yes --group-by mrn"
PHASES = tuple({"SeriesDescription": f"{phase} phase", "SliceThickness": 1.5} for phase in ("arterial", "venous"))
KERNELS = (
    {"ConvolutionKernel": "B30f", "SliceThickness": 5.0},
    {"ConvolutionKernel": "B30f", "SliceThickness": 1.5},
    {"ConvolutionKernel": "B70f", "SliceThickness": 1.5},
)


class Stock:
    """Cohorts, and projects with trained models: made once, when the first page asks for them, and copied for each page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def cohort(self) -> Path:
        """Livers, and a study of nobody among them."""
        folder = livers(self._new("cohort"))
        write_study(folder / "new_study", 900, {"PatientID": "N01", "StudyID": "N01S0", "StudyDate": "20250102"})
        return folder

    @cached_property
    def twente(self) -> Path:
        return livers(self._new("twente"), prefix="T", patients=6, seed=5000)

    @cached_property
    def liver(self) -> Path:
        """Two runs, trained from different seeds, scored on the tuning cases and on the internal test."""
        folder = self._with(self.cohort, "liver")
        lines = [LIVER]
        for seed, name in enumerate(("first", "second")):
            train = f"overread train liver --name {name} --minutes 1 --set training.seed={seed}"
            lines += [train, f"overread evaluate liver --run {name}"]
            lines += [f"overread evaluate liver --run {name} {OPEN}"]
        return _lived(folder, lines)

    @cached_property
    def pneumonia(self) -> Path:
        """One trained run, scored on the tuning cases."""
        folder = self._new("pneumonia")
        chest_films(folder, "labels.csv")
        return _lived(folder, [PNEUMONIA, "overread train pneumonia --name first --minutes 1", "overread evaluate pneumonia"])

    @cached_property
    def ms(self) -> Path:
        """Exams of two sequences, one of which lacks its T1; a model that learned from the others."""
        folder = self._new("ms")
        two_sequences(folder, lacking={3: "t1"})
        (folder / "images").rename(folder / "exams")
        made = "overread init elsewhere/ms --images exams --truth masks --series flair.file=_flair --series t1.file=_t1"
        _lived(folder, [made, "overread train elsewhere/ms --name first --minutes 1"])
        shutil.move(folder / "elsewhere/ms/runs/first/ms-first.overread", folder)
        shutil.rmtree(folder / "elsewhere")
        write_exam(folder / "new_exam", "p99", 99)
        return folder

    def _new(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def _with(self, other: Path, name: str) -> Path:
        return Path(shutil.copytree(other, self.folder / name))


def _lived(folder: Path, lines: list[str]) -> Path:
    """A folder in which these commands were run."""
    with chdir(folder):
        for line in lines:
            code, said = run(line)
            assert code == 0, f"{line}\n{said}"
    return folder


def chest_films(folder: Path, sheet: str, patients: int = 24) -> None:
    """`films` and a sheet of file, mrn and pneumonia."""
    rows = films(folder / "films", patients=patients)
    write_sheet(folder / sheet, [{**row, "pneumonia": ("no", "yes")[row.pop("ill")]} for row in rows])


def _copied(made: Path, folder: Path) -> None:
    shutil.copytree(made, folder, dirs_exist_ok=True)


# ---------------------------------------------------------------- one function for each world


def empty(folder: Path, stock: Stock) -> None:
    """Nothing but a terminal."""


def liver_cohort(folder: Path, stock: Stock) -> None:
    _copied(stock.cohort, folder)
    moved_masks(folder / "masks", folder / "predictions")


def exams_at_full_dose(folder: Path, stock: Stock) -> None:
    """CT exams with noise of their own, a sheet, and an exam of somebody else."""
    _copied(stock.cohort, folder)
    shutil.rmtree(folder / "masks")
    (folder / "studies").rename(folder / "exams")
    (folder / "new_study").rename(folder / "low_dose_scans")


def liver_project(folder: Path, stock: Stock) -> None:
    _copied(stock.liver, folder)


def liver_and_lesions(folder: Path, stock: Stock) -> None:
    """The liver project, and masks of lesions for the same studies."""
    _copied(stock.liver, folder)
    _copied(folder / "masks", folder / "lesion_masks")


def liver_model(folder: Path, stock: Stock) -> None:
    """The model file alone, with what it shall read."""
    shutil.copy(stock.liver / "liver/runs/first/liver-first.overread", folder)
    _copied(stock.cohort / "new_study", folder / "new_study")
    image, _ = open_path(stock.cohort / "new_study")[0]
    for name in ("scan", "another"):
        write_nifti(folder / f"{name}.nii.gz", image.array[0], image.grid, description="PHANTOM")


def liver_in_folds(folder: Path, stock: Stock) -> None:
    """A project of partitions, and one of two folds beside it."""
    _copied(stock.liver, folder)
    _lived(folder, [LIVER.replace("init liver", "init liver-folds") + " --folds 2"])


def liver_stopped(folder: Path, stock: Stock) -> None:
    """A run that was stopped politely in its first sitting."""
    _copied(stock.cohort, folder)
    _lived(folder, [LIVER])
    try:
        train(Project.open(folder / "liver"), 60, name="first", overrides=SETTINGS, progress=_StopsAtOnce())
    except Stopped:
        return
    raise AssertionError("the training was not stopped")


class _StopsAtOnce:
    """Somebody who presses Ctrl-C when the training begins."""

    def start(self, total: float | None, text: str) -> None:
        if text == "Training":
            os.kill(os.getpid(), signal.SIGINT)

    def advance(self, n: float = 1, note: str = "") -> None: ...

    def finish(self) -> None: ...


def liver_and_new_patients(folder: Path, stock: Stock) -> None:
    _copied(stock.liver, folder)
    for part in ("studies", "masks"):
        _copied(stock.twente / part, folder / part)
    more = (stock.twente / "patients.csv").read_text(encoding="utf-8").partition("\n")[2]
    with open(folder / "patients.csv", "a", encoding="utf-8") as file:
        file.write(more)


def liver_to_label(folder: Path, stock: Stock) -> None:
    """The liver project, and studies without labels."""
    _copied(stock.liver, folder)
    _copied(stock.twente / "studies", folder / "new_studies")


def two_hospitals(folder: Path, stock: Stock) -> None:
    """The liver project and the studies of Twente; a project of films whose sheet there has other words."""
    _copied(stock.liver, folder)
    _copied(stock.twente, folder / "twente")
    rows = [{**row, "finding": ("normal", "pneumonia")[row.pop("ill")]} for row in films(folder / "our_films")]
    write_sheet(folder / "ours.csv", rows)
    _lived(
        folder,
        ["overread init pneumonia --images our_films --sheet ours.csv --label finding --positive pneumonia --group-by mrn"],
    )
    theirs = films(folder / "films", patients=8, seed=7000)
    words = ("unauffaellig", "J18")
    write_sheet(folder / "befunde.csv", [{"file": r["file"], "pat": f"T{r['mrn']}", "befund": words[r["ill"]]} for r in theirs])


def pneumonia_explained(folder: Path, stock: Stock) -> None:
    """The pneumonia project, drawings of where it would be, and a film that is not of the project."""
    _copied(stock.pneumonia, folder)
    (folder / "drawn").mkdir()
    films_of = sorted((folder / "films").glob("*.png"))
    for film in films_of:
        with Image.open(film) as opened:
            mask = Image.new("L", opened.size)
        ImageDraw.Draw(mask).ellipse([n // 3 for n in mask.size] + [2 * n // 3 for n in mask.size], fill=255)
        mask.save(folder / "drawn" / film.name)
    shutil.copy(films_of[0], folder / "new_film.png")


def several_series(folder: Path, stock: Stock) -> None:
    """Each exam thick and thin, and thin again with a sharp kernel."""
    livers(folder, series=KERNELS)


def several_images(folder: Path, stock: Stock) -> None:
    """Exams of two sequences as files; DICOM studies of two phases."""
    _copied(stock.ms, folder)
    livers(folder, patients=6, series=PHASES)


def new_films(folder: Path, stock: Stock) -> None:
    chest_films(folder, "labels.xlsx")


def films_with_labels(folder: Path, stock: Stock) -> None:
    """So many that the tuning partition has patients enough to be compared with."""
    chest_films(folder, "labels.csv", patients=48)


def films_with_labels_and_masks(folder: Path, stock: Stock) -> None:
    """The films with labels, and small ones with a nodule that somebody drew."""
    films_with_labels(folder, stock)
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:16, :16]
    for name in ("drawn_films", "masks", "new_masks"):
        (folder / name).mkdir()
    for k in range(48):
        y, x = random.uniform(4, 12, 2)
        nodule = (rows - y) ** 2 + (columns - x) ** 2 < 3.5**2
        film = (60 + 120 * nodule + random.normal(0, 4, nodule.shape)).clip(0, 255)
        Image.fromarray(film.astype(np.uint8)).save(folder / "drawn_films" / f"nodule{k:02d}.png")
        Image.fromarray(nodule.astype(np.uint8)).save(folder / "masks" / f"nodule{k:02d}.png")
    shutil.copy(folder / "masks" / "nodule00.png", folder / "new_masks" / "wanted.png")


def pairs_of_sequences(folder: Path, stock: Stock) -> None:
    """Exams of two sequences, and one of which only the T1 was taken; films of two scanners, and one more."""
    two_sequences(folder)
    (folder / "images").rename(folder / "exams")
    (folder / "masks").rename(folder / "masks_on_true")
    write_json(folder / "masks_on_true" / "dataset.json", {"labels": {"background": 0, "lesion": 1}})
    moved_masks(folder / "masks_on_true", folder / "masks_on_made")
    write_exam(folder / "new_exam", "new", 99, lacking="flair")
    rows = films(folder / "films", patients=96)
    write_sheet(folder / "scanners.csv", [{**row, "scanner": ("siemens", "ge")[row.pop("ill")]} for row in rows])
    shutil.copy(folder / "films" / "film00.png", folder / "new_film.png")


def films_and_split(folder: Path, stock: Stock) -> None:
    """The liver project, and films with the split that came with them."""
    _copied(stock.liver, folder)
    rows = films(folder / "films")
    parts = ("train", "train", "val", "test")
    people = sorted({row["mrn"] for row in rows})
    listed = [
        {
            "file": row["file"],
            "patient": row["mrn"],
            "split": parts[people.index(row["mrn"]) // 2 % 4],
            "pneumonia": ("no", "yes")[row["ill"]],
        }
        for row in rows
    ]
    write_sheet(folder / "labels.xlsx", listed)


def pneumonia_project(folder: Path, stock: Stock) -> None:
    _copied(stock.pneumonia, folder)


def films_and_samples(folder: Path, stock: Stock) -> None:
    """A project, made films, films from elsewhere, and answers of three readers to a room made before."""
    chest_films(folder, "labels.csv")
    films(folder / "samples", patients=20, seed=3000)
    films(folder / "other-hospital", patients=8, seed=7000)
    _lived(folder, [PNEUMONIA, "overread real-or-fake pneumonia --made samples --name earlier"])
    room = read_json(folder / "pneumonia/real-or-fake/earlier/room.json")
    (folder / "answers").mkdir()
    for reader, wrong in (("R1", 3), ("R2", 4), ("R3", 2)):
        calls = [
            {"item": k, "call": ("real", "fake")[k % wrong == 0], "confidence": k % 4 + 1, "seconds": 2.0 + k % 5}
            for k in range(1, room["images"] + 1)
        ]
        saved = {"format": 1, "room": room["room"], "reader": reader, "answers": calls}
        write_json(folder / f"{reader}.json", saved)
        write_json(folder / "answers" / f"{reader}.json", saved)


def films_and_maker(folder: Path, stock: Stock) -> None:
    """The pneumonia project, and a model that makes such films by class."""
    chest_films(folder, "labels.csv")
    made = (
        "overread init films-made --images films --sheet labels.csv --task synthesize --by-class --label pneumonia --group-by mrn"
    )
    _lived(folder, [PNEUMONIA, made, "overread train films-made --minutes 1"])


def normal_films(folder: Path, stock: Stock) -> None:
    """The pneumonia project, normal films of many other patients, and new films of nobody among them."""
    _copied(stock.pneumonia, folder)
    rows = films(folder / "normal_films", patients=96, seed=5000)
    for row in rows:
        if row["ill"]:
            (folder / "normal_films" / row["file"]).unlink()
    write_sheet(folder / "normals.csv", [{"file": row["file"], "mrn": f"N{row['mrn']}"} for row in rows if not row["ill"]])
    films(folder / "new_films", patients=3, seed=8000)


def pneumonia_and_more_films(folder: Path, stock: Stock) -> None:
    """A project, and films of other patients without labels."""
    _copied(stock.pneumonia, folder)
    films(folder / "more_films", patients=4, seed=900)


def films_with_values(folder: Path, stock: Stock) -> None:
    """Films with age, sex and a laboratory value in the sheet; some more, of nobody among them, with a sheet of their own."""
    for place, sheet, seed in (("films", "patients.csv", 0), ("new_films", "new_patients.csv", 900)):
        rows = films(folder / place, patients=24 if seed == 0 else 4, seed=seed)
        known = [{"age": 40 + 3 * (k % 15), "sex": "FM"[k % 2], "crp": "" if k % 7 == 0 else 5 + k} for k in range(len(rows))]
        both = [{**row, **more, "pneumonia": ("no", "yes")[row.pop("ill")]} for row, more in zip(rows, known, strict=True)]
        write_sheet(folder / sheet, both)
    shutil.copy(folder / "new_films" / "film00.png", folder / "new_film.png")


def nodules(folder: Path, stock: Stock) -> None:
    rows = films(folder / "studies")
    write_sheet(folder / "patients.xlsx", [{**row, "malignant": ("no", "yes")[row.pop("ill")]} for row in rows])


def nodules_drawn(folder: Path, stock: Stock) -> None:
    """Films with boxes and outlines in COCO's form; every second patient has no nodule."""
    rows = films(folder / "films")
    sheet = [{"file": row["file"], "patient": row["mrn"]} for row in rows]
    write_sheet(folder / "patients.csv", sheet)
    write_json(folder / "findings.json", drawn_nodules(folder / "films", rows))


def liver_and_detector(folder: Path, stock: Stock) -> None:
    """The liver project; a detector of nodules, and films of other people of whom is known whether they have one."""
    nodules_drawn(folder, stock)
    (folder / "patients.csv").rename(folder / "films.csv")  # the livers' sheet has that name
    _copied(stock.liver, folder)
    rows = films(folder / "other_films", patients=10, seed=9000)
    write_sheet(
        folder / "others.csv", [{**row, "mrn": f"N{row['mrn']}", "nodule": ("no", "yes")[row.pop("ill")]} for row in rows]
    )
    made = "overread init nodules --images films --truth findings.json --task detection --sheet films.csv --group-by patient"
    _lived(folder, [made, "overread train nodules --name first --minutes 1"])


def names_in_headers(folder: Path, stock: Stock) -> None:
    """Studies with names in them, and a sheet."""
    livers(folder, patients=3)
    (folder / "patients.csv").rename(folder / "labels.csv")


def predictions(folder: Path, stock: Stock) -> None:
    """Truths and answers of another program, as masks, as sheets and as images."""
    _copied(stock.cohort / "masks", folder / "masks")
    moved_masks(folder / "masks", folder / "predictions")
    labels(folder)
    probabilities(folder / "probabilities.csv", 0, 0.6)
    images_and_answers(folder / "true_images", folder / "made_images")


def reads(folder: Path, stock: Stock) -> None:
    """Reads of three readers, as a sheet and as masks."""
    agreeing_reads(folder)
    for by, reader in enumerate(("anna", "ben", "carl")):
        moved_masks(stock.cohort / "masks", folder / f"masks_{reader}", by)


def evaluations(folder: Path, stock: Stock) -> None:
    """Evaluations of two programs, of seeds, of runs, and a reader study."""
    _copied(stock.liver, folder)
    labels(folder)
    said = "overread evaluate --truth labels.csv --answers {0}.csv --task classification --positive malignant --patients mrn"
    lines = []
    for number, name in enumerate(("old", "new", "s1", "s2", "s3", "b1", "b2", "b3")):
        probabilities(folder / f"{name}.csv", number, 0.8 if name[0] in "nb" else 0.4)
        lines.append(f"{said.format(name)} --out {name}.json")
    _lived(folder, lines)
    runs = folder / "liver" / "runs"
    for name, run_name in (("small-1", "first"), ("small-2", "second"), ("big-1", "first"), ("big-2", "second")):
        _copied(runs / run_name, runs / name)
    reader_study(folder)
