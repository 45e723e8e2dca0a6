"""Images that a model was not trained on, written as files by kind: for `refusal.py`."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from PIL import Image
from sklearn.datasets import load_sample_images

EDGE = 224
HU = (-1000.0, 1000.0)


def grey(values: np.ndarray, low: float | None = None, high: float | None = None) -> Image.Image:
    """(Y, X) numbers as a grey picture; from black at `low` to white at `high`."""
    values = np.asarray(values, float)
    low, high = (float(values.min()) if low is None else low), (float(values.max()) if high is None else high)
    scaled = (values - low) / max(high - low, 1e-9) * 255
    return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))


def write_pictures(folder: Path, kind: str, pictures: Iterable[Image.Image]) -> None:
    (folder / kind).mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        picture.save(folder / kind / f"{number:03d}.png")


# ---- to a model of chest films ----------------------------------------------------------------------


def to_a_chest_model(folder: Path, data: Path, own: Iterable[Path], each: int) -> list[str]:
    """Kinds of pictures, a folder for each; `own` are films as the model knows them."""
    shutil.rmtree(folder, ignore_errors=True)
    random = np.random.default_rng(0)
    films = [np.asarray(Image.open(path).convert("L")) for path in own][:each]
    made: dict[str, Iterable[Image.Image]] = {
        "noise": (grey(random.normal(size=(EDGE, EDGE)) * 40 + 128, 0, 255) for _ in range(each)),
        "uniform": (Image.new("L", (EDGE, EDGE), level) for level in (0, 60, 128, 255)),
        "own films, inverted": (Image.fromarray(255 - film) for film in films),
        "own films, turned by 90 degrees": (Image.fromarray(np.rot90(film)) for film in films),
        "own films, upside down": (Image.fromarray(film[::-1]) for film in films),
        "own films, left and right swapped": (Image.fromarray(film[:, ::-1]) for film in films),
        "brain MR slices": (_grey_file(path) for path in _files(data / "brain_tumor_mr_2d", "*.jpg", each)),
        "brain MR slices, in colour": (Image.open(path) for path in _files(data / "brain_tumor_mr_2d", "*.jpg", each)),
        "panoramic dental films": (_grey_file(path) for path in _files(data / "dental_panoramic_detection", "*.jpg", each)),
        "breast ultrasound": (Image.fromarray(one) for one in _breasts(data)[:each]),
        "adult chest films, 64 pixels": (_grey_file(path) for path in _files(data / "nih_cxr_64", "*.png", each)),
        "CT slices, axial": _slices(data, 2, each),
        "CT slices, coronal": _slices(data, 1, each),
        "lateral film, projected from a CT": [_projected(data, 0)],
        "frontal film, projected from a CT": [_projected(data, 1)],
        "photographs": _photographs(each),
    }
    for kind, pictures in made.items():
        write_pictures(folder, kind, pictures)
    return list(made)


def _files(folder: Path, pattern: str, count: int) -> list[Path]:
    found = sorted(folder.rglob(pattern))
    return found[:: max(1, len(found) // count)][:count]


def _grey_file(path: Path) -> Image.Image:
    return Image.open(path).convert("L")


def _breasts(data: Path) -> np.ndarray:
    return np.asarray(np.load(data / "medmnist" / "breastmnist.npz")["test_images"])


def _ct(data: Path) -> np.ndarray:
    """(X, Y, Z) HU, upright when turned by 90 degrees."""
    return np.asarray(nibabel.load(data / "totalseg_example" / "ct_3mm.nii.gz").get_fdata())


def _slices(data: Path, axis: int, count: int) -> Iterator[Image.Image]:
    volume = _ct(data)
    for place in np.linspace(0.2, 0.8, count) * volume.shape[axis]:
        yield grey(np.rot90(np.take(volume, int(place), axis)), *HU)


def _projected(data: Path, axis: int) -> Image.Image:
    """A film drawn from a CT: the mean attenuation along the beam."""
    return grey(np.rot90(np.clip(_ct(data), *HU).mean(axis)))


def _photographs(count: int) -> Iterator[Image.Image]:
    """Pieces of the two photographs that come with scikit-learn."""
    random = np.random.default_rng(1)
    photographs = load_sample_images().images
    for number in range(count):
        photograph = Image.fromarray(photographs[number % len(photographs)]).convert("L")
        left, top = (int(random.integers(0, n - EDGE)) for n in photograph.size)
        yield photograph.crop((left, top, left + EDGE, top + EDGE))


# ---- to a model of phantom CTs ----------------------------------------------------------------------


def to_a_ct_model(folder: Path, data: Path, exams: Iterable[Path]) -> list[str]:
    """Kinds of DICOM and NIfTI studies; `exams` are folders of new phantom CTs, one series each."""
    shutil.rmtree(folder, ignore_errors=True)
    for exam in exams:
        slices = _in_order(exam)
        name = exam.name
        _copy(slices, folder / "new phantom CTs" / name)
        _copy(slices[: len(slices) // 2] + slices[len(slices) // 2 + 3 :], folder / "three slices missing" / name)
        _copy(slices[: len(slices) // 4], folder / "a quarter of the slices, from one end" / name)
        _copy(slices, folder / "header says HEAD" / name, BodyPartExamined="HEAD")
        _copy(slices, folder / "header says MR" / name, Modality="MR")
        _copy(slices, folder / "header says no body part" / name, BodyPartExamined="")
        _noisy(slices, folder / "noise in place of pixels" / name)
    real = folder / "patients, not phantoms: upper abdomen CT"
    shutil.copytree(data / "dicom" / "ct_abdomen_C3L-00189", real)
    shutil.copytree(data / "dicom" / "mr_liver_coronal_TCGA-BC-4073", folder / "MR of the liver, coronal")
    for kind, file in (
        ("CT of the trunk as NIfTI", "totalseg_example/ct_3mm.nii.gz"),
        ("MR as NIfTI, taken as HU", "totalseg_example/mr_3mm_slab.nii.gz"),
    ):
        (folder / kind).mkdir(parents=True)
        shutil.copy(data / file, folder / kind)
    hippocampi = folder / "MR of the hippocampus as NIfTI"
    hippocampi.mkdir()
    for path in sorted((data / "msd_hippocampus" / "imagesTr").glob("*.nii.gz"))[:5]:
        shutil.copy(path, hippocampi)
    return sorted(p.name for p in folder.iterdir())


def _in_order(exam: Path) -> list[Path]:
    files = [path for path in exam.rglob("*") if path.is_file()]
    return sorted(files, key=lambda path: float(pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2]))


def _copy(files: Iterable[Path], folder: Path, **changes: str) -> None:
    folder.mkdir(parents=True)
    for path in files:
        tags = pydicom.dcmread(path)
        for keyword, value in changes.items():
            setattr(tags, keyword, value)
        tags.save_as(folder / path.name)


def _noisy(files: Iterable[Path], folder: Path) -> None:
    random = np.random.default_rng(2)
    folder.mkdir(parents=True)
    for path in files:
        tags = pydicom.dcmread(path)
        pixels = tags.pixel_array
        tags.PixelData = random.integers(pixels.min(), pixels.max() + 1, pixels.shape).astype(pixels.dtype).tobytes()
        tags.save_as(folder / path.name)
