"""How fast a folder is scanned, and how much memory that takes: generated CT headers, a thousand and a hundred thousand.

    python benchmarks/scan.py
    python benchmarks/scan.py --files 1000,10000

Writes series of 200 small slices, marked as simulated, and scans each size in a process of its own: once with an empty
cache of headers, once more with the cache that this left. Files were just written, so the disk is warm. Beside it
stands plain `pydicom.dcmread(stop_before_pixels=True)` over a thousand of the files in one process, which neither sorts
nor judges anything. What grows with the number of files should be their paths, not their headers.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from common import WORK, Started, numbers, parser, run, say_result, spread_of, table, write_result
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from watch import run_watched

SLICES = 200
CT = "1.2.840.10008.5.1.4.1.1.2"
SIZE = 16  # pixels along each edge: a header is read whatever its pixels
GROWTH_ALLOWED = 1.5  # of peak memory, from the smallest number of files to the largest
PLAIN_FILES = 1000
SCAN_ONCE = """
import json, resource, sys, time
from pathlib import Path
from overread.imaging.scan import scan
began = time.perf_counter()
result = scan(Path(sys.argv[1]), cache=Path(sys.argv[2]))
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
files = sum(len(found.files) for found in result.eligible)
told = {"seconds": seconds, "eligible": len(result.eligible), "files": files, "own_kib": peak[0], "process_kib": peak[1]}
print(json.dumps(told))
"""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--files", type=numbers, default=[1_000, 100_000], help="numbers of files, e.g. 1000,100000")
    options.add_argument("--out", type=Path, default=WORK / "scan", help="folder for the files; emptied at the end")
    asked, started = options.parse_args(), Started()
    rows = [one_size(asked.out / str(number), number) for number in asked.files]
    shutil.rmtree(asked.out)
    growth = rows[-1]["first"]["peak_mib"] / rows[0]["first"]["peak_mib"]
    more = rows[-1]["files"] - rows[0]["files"]
    figures: dict[str, Any] = {"sizes": rows, "growth_of_peak_memory": round(growth, 3), "met": growth <= GROWTH_ALLOWED}
    if more > 0:
        grown = rows[-1]["first"]["peak_mib"] - rows[0]["first"]["peak_mib"]
        figures["bytes_per_further_file"] = round(grown * 2**20 / more)
    spread = {"files per second of first scans": spread_of([row["first"]["files_per_second"] for row in rows], 1)}
    settings = {"files": asked.files, "slices_per_series": SLICES, "pixels": [SIZE, SIZE]}
    notes = ["peak_mib is of the scanning process itself, largest_process_mib of the largest of its worker processes"]
    path = write_result("scan", started, settings=settings, figures=figures, spread=spread, notes=notes)
    header = ["files", "series", "plain pydicom /s", "scan /s", "again /s", "peak MiB", "worker MiB", "cache MiB"]
    cells = [
        [
            row["files"],
            row["series"],
            f"{row['plain_files_per_second']:.0f}",
            f"{row['first']['files_per_second']:.0f}",
            f"{row['again']['files_per_second']:.0f}",
            f"{row['first']['peak_mib']:.0f}",
            f"{row['first']['largest_process_mib']:.0f}",
            f"{row['cache_mib']:.1f}",
        ]
        for row in rows
    ]
    verdict = f"Peak memory grew {growth:.2f} times ({GROWTH_ALLOWED} allowed): {'met' if figures['met'] else 'NOT met'}"
    say_result(path, [*table(header, cells), "", verdict])


def one_size(folder: Path, number: int) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    images, cache = folder / "images", folder / "headers.sqlite"
    write_headers(images, number)
    plain = plain_rate(images)
    first, again = scan_once(images, cache), scan_once(images, cache)
    found: dict[str, Any] = {"files": number, "series": first.pop("eligible"), "plain_files_per_second": plain, "first": first}
    again.pop("eligible")
    found |= {"again": again, "cache_mib": round(cache.stat().st_size / 2**20, 2)}
    shutil.rmtree(folder)
    return found


def scan_once(images: Path, cache: Path) -> dict[str, Any]:
    ran = run_watched([sys.executable, "-c", SCAN_ONCE, images, cache])
    told = json.loads(ran.output)
    return {
        "seconds": round(told["seconds"], 2),
        "files_per_second": round(told["files"] / told["seconds"], 1),
        "eligible": told["eligible"],
        "peak_mib": round(told["own_kib"] / 2**10, 1),
        "largest_process_mib": round(told["process_kib"] / 2**10, 1),
        "of_all_processes": ran.peak.as_dict(),
    }


def plain_rate(images: Path) -> float:
    """Files per second that pydicom reads up to the pixels, in this process."""
    files = sorted(images.rglob("*.dcm"))[:PLAIN_FILES]
    began = time.perf_counter()
    for path in files:
        pydicom.dcmread(path, stop_before_pixels=True)
    return round(len(files) / (time.perf_counter() - began), 1)


def write_headers(folder: Path, number: int) -> None:
    """CT slices in series of 200; each differs from one written by pydicom in digits alone, which are put in place."""
    template = one_slice()
    for start in range(0, number, SLICES):
        series = start // SLICES
        place = folder / f"patient-{series // 4:05d}" / f"series-{series:05d}"
        place.mkdir(parents=True)
        for k in range(min(SLICES, number - start)):
            changes = {
                b"77777": f"{series // 4:05d}",
                b"88888": f"{series:05d}",
                b"99999": f"{k:05d}",
                b"0666.6": f"{k * 2.5:06.1f}",
            }
            content = template
            for digits, value in changes.items():
                content = content.replace(digits, value.encode())
            (place / f"{k:05d}.dcm").write_bytes(content)


def one_slice() -> bytes:
    """A slice with the tags of a scanner's; 77777, 88888, 99999 and 0666.6 stand for patient, series, slice and position."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CT
    meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.10.543.88888.199999"
    tags = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    pixels = np.random.default_rng(0).integers(0, 50, (SIZE, SIZE)).astype(np.int16)
    values: dict[str, Any] = {
        "SOPClassUID": CT,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "StudyInstanceUID": "1.2.826.0.1.3680043.10.543.1.177777",
        "SeriesInstanceUID": "1.2.826.0.1.3680043.10.543.2.188888",
        "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.543.3.188888",
        "PatientID": "PHANTOM-77777",
        "PatientName": "PHANTOM^77777",
        "PatientAge": "063Y",
        "PatientSex": "O",
        "StudyDate": "20200102",
        "AccessionNumber": "A188888",
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "Manufacturer": "Overread",
        "ManufacturerModelName": "Phantom",
        "SeriesDescription": "PHANTOM thorax 2.5 mm",
        "StudyDescription": "PHANTOM thorax",
        "ProtocolName": "Thorax",
        "BodyPartExamined": "CHEST",
        "ConvolutionKernel": "B30f",
        "SyntheticData": "YES",
        "KVP": 120,
        "SliceThickness": 2.5,
        "InstanceNumber": "99999",
        "AcquisitionNumber": 1,
        "Rows": SIZE,
        "Columns": SIZE,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "PixelSpacing": [0.7, 0.7],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": ["-180.0", "-180.0", "0666.6"],
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "WindowCenter": 40,
        "WindowWidth": 400,
    }
    for keyword, value in values.items():
        setattr(tags, keyword, value)
    tags.PixelData = pixels.tobytes()
    tags["PixelData"].VR = "OW"
    target = io.BytesIO()
    pydicom.dcmwrite(target, tags, enforce_file_format=True)
    return target.getvalue()


if __name__ == "__main__":
    run(main)
