"""A DICOM series to a volume: Overread beside SimpleITK's series reader, MONAI's and plain pydicom, by transfer syntax.

    python benchmarks/dicom_read.py

Writes a CT of 200 slices of 512 x 512 (the real one of the shared data, its slices repeated up and down) in every
transfer syntax that can be written here, and reads each from its folder: headers, order, pixels, HU. All readers run
in turn within one process, warm, and the median counts. CPU seconds (children included) stand beside wall seconds,
for a machine that has other work to do. "codec" is the time that decoding alone takes in one process: what no reader
that uses this decoder can beat without a second core.

Aims: uncompressed, not slower than SimpleITK's series reader, and at least 5 times as fast as MONAI's.
"""

from __future__ import annotations

import resource
import shutil
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813 - its usual name
from common import WORK, Started, parser, run, say_result, shared_data, spread_of, table, write_result
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from overread.imaging.dicom.header import read_header
from overread.imaging.dicom.pixels import PixelFile
from overread.imaging.dicom.volume import open_dicom

MONAI_AIM = 5.0
PLAIN = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}
COMPRESSED = {"rle": RLELossless, "jpeg-ls": JPEGLSLossless, "jpeg-2000": JPEG2000Lossless}
BY_GDCM = {  # what pydicom does not write
    "big-endian": gdcm.TransferSyntax.ExplicitVRBigEndian,
    "jpeg-lossless": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
}
SYNTAXES = (*PLAIN, *COMPRESSED, *BY_GDCM)
AIR_HU = -1024  # below it Overread sets padding; the other readers keep it


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--slices", type=int, default=200)
    options.add_argument("--repeats", type=int, default=5, help="of each reader; the median counts")
    options.add_argument("--syntaxes", default=",".join(SYNTAXES), help="some of " + ",".join(SYNTAXES))
    options.add_argument("--no-monai", action="store_true", help="leave out the reader that needs the longest")
    options.add_argument("--out", type=Path, default=WORK / "dicom_read", help="folder for the series; emptied at the end")
    asked, started = options.parse_args(), Started()
    warnings.simplefilter("ignore")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    rows: dict[str, dict[str, Any]] = {}
    try:
        for name in asked.syntaxes.split(","):
            folder = write_series(asked.out, name, asked.slices)
            rows[name] = one_syntax(folder, name, asked.repeats, with_monai=not asked.no_monai and name == "explicit")
            shutil.rmtree(folder)
    finally:
        shutil.rmtree(asked.out, ignore_errors=True)
    figures: dict[str, Any] = {"syntaxes": rows} | verdicts(rows.get("explicit", {}))
    settings = {"slices": asked.slices, "size": 512, "repeats": asked.repeats, "syntaxes": list(rows)}
    spread = {f"{name}: {reader}": found["wall"] for name, row in rows.items() for reader, found in row["readers"].items()}
    path = write_result("dicom_read", started, settings=settings, figures=figures, spread=spread, notes=NOTES)
    say_result(path, [*lines(rows), "", *(f"{k}: {v}" for k, v in figures.items() if k != "syntaxes")])


NOTES = (
    "A reader may fail on a syntax; it then has no figure.",
    "Wall seconds of a machine that did other work at the same time are those of its load; compare within one row.",
)


def lines(rows: dict[str, dict[str, Any]]) -> list[str]:
    readers = list(dict.fromkeys(reader for row in rows.values() for reader in row["readers"]))
    cells = []
    for name, row in rows.items():
        found = [row["readers"].get(reader) for reader in readers]
        shown = [f"{f['wall']['median']:.2f} ({f['cpu']['median']:.2f})" if f else "-" for f in found]
        cells.append([name, *shown, f"{row['codec_seconds']:.2f}"])
    return [*table(["syntax", *readers, "codec"], cells), "(median wall seconds, CPU seconds in brackets)"]


def verdicts(row: dict[str, Any]) -> dict[str, Any]:
    """The two aims, on wall seconds of the uncompressed series."""
    readers = row.get("readers", {})
    median = {name: found["wall"]["median"] for name, found in readers.items()}
    found: dict[str, Any] = {}
    if {"overread", "simpleitk"} <= set(median):
        found["times_faster_than_simpleitk"] = round(median["simpleitk"] / median["overread"], 2)
        found["not_slower_than_simpleitk"] = median["overread"] <= median["simpleitk"]
    if {"overread", "monai"} <= set(median):
        found["times_faster_than_monai"] = round(median["monai"] / median["overread"], 2)
        found["five_times_monai"] = median["monai"] >= MONAI_AIM * median["overread"]
    return found


def one_syntax(folder: Path, name: str, repeats: int, with_monai: bool) -> dict[str, Any]:
    """Every reader on one folder, in turn; its answers compared voxel by voxel."""
    files = sorted(folder.iterdir())
    readers: dict[str, Callable[[], np.ndarray]] = {
        "overread": lambda: open_dicom(sorted(folder.iterdir())).array[0],
        "simpleitk": lambda: by_simpleitk(folder),
        "pydicom": lambda: by_pydicom(files),
    }
    if with_monai:
        readers["monai"] = monai_reader(folder)
    expected = readers["overread"]()
    for reader in list(readers)[1:]:
        if not agrees(readers[reader], expected):
            del readers[reader]
    timed: dict[str, list[tuple[float, float]]] = {reader: [] for reader in readers}
    for _ in range(repeats):
        for reader, read in readers.items():  # in turn, so that a busy moment meets all of them
            timed[reader].append(seconds_of(read))
    codec = min(seconds_of(lambda: decode_only(files))[0] for _ in range(2))
    return {
        "mib": round(sum(file.stat().st_size for file in files) / 2**20, 1),
        "codec_seconds": round(codec, 3),
        "readers": {
            reader: {"wall": spread_of([wall for wall, _ in both]), "cpu": spread_of([cpu for _, cpu in both])}
            for reader, both in timed.items()
        },
    }


def agrees(read: Callable[[], np.ndarray], expected: np.ndarray) -> bool:
    """Whether a reader reads the series at all; a wrong volume stops the benchmark."""
    try:
        found = read()
    except Exception as error:  # any reader may fail in any way; it is left out of the table
        print(f"left out: {' '.join(str(error).split())[:100]}")
        return False
    if not np.array_equal(np.maximum(found, AIR_HU), expected):
        raise AssertionError("two readers disagree on the voxels")
    return True


def seconds_of(read: Callable[[], Any]) -> tuple[float, float]:
    """(wall, CPU) seconds, children included; the answer is dropped before the clock stops, as every reader's is."""
    cpu, began = cpu_seconds(), time.perf_counter()
    read()
    return time.perf_counter() - began, cpu_seconds() - cpu


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def by_simpleitk(folder: Path) -> np.ndarray:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.GetArrayFromImage(reader.Execute())


def by_pydicom(files: Iterable[Path]) -> np.ndarray:
    """What a short script does: read all, sort along z, rescale, stack."""
    slices = sorted((pydicom.dcmread(file) for file in files), key=lambda tags: float(tags.ImagePositionPatient[2]))
    return np.stack([tags.pixel_array * tags.RescaleSlope + tags.RescaleIntercept for tags in slices])


def monai_reader(folder: Path) -> Callable[[], np.ndarray]:
    from monai.data import PydicomReader

    reader = PydicomReader()

    def read() -> np.ndarray:
        array, _ = reader.get_data(reader.read(str(folder)))
        return np.asarray(array).transpose(2, 1, 0)  # MONAI's axes are X, Y, Z

    return read


def decode_only(files: Iterable[Path]) -> None:
    for path in files:
        with PixelFile(read_header(path)) as file:
            file.frame()


def write_series(out: Path, name: str, count: int) -> Path:
    """`count` slices in one transfer syntax, 1.25 mm apart."""
    source = sorted((shared_data() / "dicom" / "ct_abdomen_C3L-00189").glob("*.dcm"))
    originals = sorted((pydicom.dcmread(file) for file in source), key=lambda tags: float(tags.ImagePositionPatient[2]))
    up_and_down = [*range(len(originals)), *range(len(originals) - 2, 0, -1)]
    x, y, z = (float(v) for v in originals[0].ImagePositionPatient)
    folder = out / name
    folder.mkdir(parents=True)
    for k in range(count):
        tags = pydicom.dcmread(source[0].parent / Path(originals[up_and_down[k % len(up_and_down)]].filename).name)
        tags.ImagePositionPatient, tags.InstanceNumber = [x, y, z + 1.25 * k], k + 1
        tags.SOPInstanceUID = tags.file_meta.MediaStorageSOPInstanceUID = f"2.25.{1000 + k}"
        save(tags, folder / f"{k:04d}.dcm", name)
    return folder


def save(tags: pydicom.FileDataset, path: Path, name: str) -> None:
    if name in BY_GDCM:
        tags.save_as(path)
        recode(path, BY_GDCM[name])
        return
    if name in COMPRESSED:
        tags.compress(COMPRESSED[name], generate_instance_uid=False)
    else:
        tags.file_meta.TransferSyntaxUID = PLAIN[name]
    tags.save_as(path, implicit_vr=name == "implicit", little_endian=True, force_encoding=True)


def recode(path: Path, syntax: int) -> None:
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.Write()


if __name__ == "__main__":
    run(main)
