"""Good files for `fuzz.py` to damage: real ones of the shared data, and small ones made here where the data have none."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openpyxl
import pydicom
import SimpleITK
from PIL import Image as Pillow
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

LARGEST = 300_000  # bytes; a larger file costs time and holds no other faults
PICTURE = (640, 640)  # (Y, X) of the picture that label files speak of
PICTURE_NAME = "picture.jpg"

DICOM_FILES = (
    "singles/*.dcm",
    "compressed/mr_jpeg2000_lossless/IM-0001-0001-0001.dcm",
    "compressed/mr_rgb_jpeg2000/IM-0001-0001-0001.dcm",
    "compressed/mr_rle/IM-0001-0001-0001.dcm",
    "mr_liver_coronal_TCGA-BC-4073/1-01.dcm",
    "seg_sr_rt/highdicom/*image.dcm",
)
DICOM_LABELS = ("seg_sr_rt/*.dcm", "seg_sr_rt/highdicom/s*.dcm", "seg_sr_rt/rt_phantom/rt.dcm")


@dataclass(frozen=True)
class Seed:
    """A good file.

    format   what it is counted as
    name     where it came from
    suffix   of the file that is written
    content  what is damaged
    pack     makes the file of the damaged content: what is packed in it is damaged before it is packed
    """

    format: str
    name: str
    suffix: str
    content: bytes
    pack: Callable[[bytes], bytes] | None = None


def all_seeds(data: Path) -> list[Seed]:
    """Of every format, in a fixed order."""
    seeds = [*_dicom(data / "dicom"), *_nifti(data), *_volumes(), *_pictures(data), *_archives(data), *_drawn(), *_sheets()]
    return sorted(seeds, key=lambda seed: (seed.format, seed.name))


def _seed(format: str, path: Path, suffix: str | None = None) -> Seed:
    return Seed(format, path.name, path.suffix if suffix is None else suffix, path.read_bytes())


# ---- DICOM ------------------------------------------------------------------------------------------


def _dicom(folder: Path) -> list[Seed]:
    images = [p for pattern in DICOM_FILES for p in sorted(folder.glob(pattern)) if p.stat().st_size <= LARGEST]
    images += [min(maker.iterdir()) for maker in sorted((folder / "vendors").iterdir())]
    labels = [p for pattern in DICOM_LABELS for p in sorted(folder.glob(pattern)) if p.stat().st_size <= LARGEST]
    deflated = [_deflated(p) for p in images if p.name in ("ct_image.dcm", "1-01.dcm")]
    seeds = [Seed("dicom", f"{p.parent.name}/{p.name}", ".dcm", p.read_bytes()) for p in images]
    return [*seeds, *deflated, *(Seed("dicom labels", p.name, ".dcm", p.read_bytes()) for p in labels)]


def _deflated(path: Path) -> Seed:
    """An object whose elements are damaged before they are deflated."""
    tags = pydicom.dcmread(path)
    tags.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    head = io.BytesIO()
    write_file_meta_info(head, tags.file_meta)
    body = io.BytesIO()
    pydicom.dcmwrite(body, _without_meta(tags), implicit_vr=False, little_endian=True, enforce_file_format=False)
    start = b"\0" * 128 + b"DICM" + head.getvalue()
    return Seed("dicom", f"deflated {path.name}", ".dcm", body.getvalue(), lambda content: start + _raw_deflate(content))


def _without_meta(tags: pydicom.Dataset) -> pydicom.Dataset:
    bare = pydicom.Dataset()
    bare.update(tags)
    return bare


def _raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


# ---- volumes ----------------------------------------------------------------------------------------


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


def _nifti(data: Path) -> list[Seed]:
    paths = [*sorted((data / "msd_hippocampus" / "imagesTr").glob("*.nii.gz"))[:4]]
    paths += sorted((data / "msd_hippocampus" / "labelsTr").glob("*.nii.gz"))[:4]
    paths += [data / "totalseg_example" / "mr_3mm_slab_labels.nii.gz"]
    seeds = []
    for path in paths:
        plain = gzip.decompress(path.read_bytes())
        seeds.append(Seed("nifti", f"{path.name} packed", ".nii.gz", path.read_bytes()))
        seeds.append(Seed("nifti", f"{path.name} inside", ".nii.gz", plain, _gzip))
        seeds.append(Seed("nifti", path.name.removesuffix(".gz"), ".nii", plain))
    return seeds


def _volumes() -> list[Seed]:
    """NRRD and MetaImage as SimpleITK writes them, and a segmentation of 3D Slicer."""
    from tempfile import TemporaryDirectory

    numbers = np.random.default_rng(0).integers(-1000, 1000, (6, 10, 8))
    seeds = []
    with TemporaryDirectory() as folder:
        for kind in (np.int16, np.float32, np.uint8):
            image = SimpleITK.GetImageFromArray((numbers & 0x7F if kind is np.uint8 else numbers).astype(kind))
            image.SetSpacing((0.8, 0.9, 2.5))
            for format, suffix in (("nrrd", ".nrrd"), ("mha", ".mha")):
                for packed in (False, True):
                    path = Path(folder) / f"{np.dtype(kind).name}{'-packed' if packed else ''}{suffix}"
                    SimpleITK.WriteImage(image, str(path), packed)
                    seeds.append(_seed(format, path))
    seeds.append(Seed("nrrd", "segments", ".seg.nrrd", _segments()))
    return seeds


def _segments() -> bytes:
    head = (
        "NRRD0004\ntype: unsigned char\ndimension: 4\nspace: left-posterior-superior\nsizes: 2 8 10 6\n"
        "space directions: none (0.8,0,0) (0,0.9,0) (0,0,2.5)\nkinds: list domain domain domain\nendian: little\n"
        "encoding: raw\nspace origin: (0,0,0)\nSegmentation_MasterRepresentation:=Binary labelmap\n"
    )
    for k, (name, layer, value) in enumerate((("liver", 0, 1), ("tumour", 1, 1), ("kidney", 0, 2))):
        head += (
            f"Segment{k}_ID:=Segment_{k}\nSegment{k}_Name:={name}\nSegment{k}_Layer:={layer}\nSegment{k}_LabelValue:={value}\n"
        )
        head += f"Segment{k}_Extent:=0 7 0 9 0 5\nSegment{k}_Color:=0.5 0.1 0.{k}\n"
    voxels = np.random.default_rng(1).integers(0, 3, (6, 10, 8, 2)).astype(np.uint8)
    voxels[..., 1] &= 1
    return head.encode() + b"\n" + voxels.tobytes()


# ---- pictures and archives --------------------------------------------------------------------------


def _pictures(data: Path) -> list[Seed]:
    seeds = [_seed("raster", next(iter(sorted((data / "nih_cxr_64").rglob("*.png")))))]
    seeds.append(_seed("raster", next(iter(sorted((data / "kermany_cxr_224" / "test").rglob("*.jp*g"))))))
    seeds.append(_seed("raster", next(iter(sorted((data / "brain_tumor_mr_2d").rglob("*.jpg"))))))
    numbers = np.random.default_rng(2).integers(0, 60000, (40, 50))
    grey, deep = Pillow.fromarray((numbers >> 8).astype(np.uint8)), Pillow.fromarray(numbers.astype(np.uint16))
    named = [
        ("grey", grey, {}),
        ("deep", deep, {}),
        ("palette", grey.convert("P"), {}),
        ("mask", grey.point(lambda v: v // 90), {}),
    ]
    for name, picture, options in named:
        seeds += [Seed("raster", f"{name}.png", ".png", _saved(picture, "PNG", **options))]
        seeds += [Seed("raster", f"{name}.tif", ".tif", _saved(picture, "TIFF", **options))]
    seeds.append(Seed("raster", "alpha.png", ".png", _saved(grey.convert("RGBA"), "PNG")))
    seeds.append(Seed("raster", "grey.bmp", ".bmp", _saved(grey, "BMP")))
    for packing in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        seeds.append(Seed("raster", f"{packing}.tif", ".tif", _saved(grey, "TIFF", compression=packing)))
    told = "ImageJ=1.53\nimages=3\nslices=3\nunit=mm\nspacing=2.5\n"
    stack = _saved(deep, "TIFF", save_all=True, append_images=[deep, deep], description=told, resolution=2.0)
    seeds.append(Seed("raster", "stack.tif", ".tif", stack))
    return seeds


def _saved(picture: Pillow.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def _archives(data: Path) -> list[Seed]:
    rng = np.random.default_rng(3)
    arrays = {
        "train_images": rng.integers(0, 255, (6, 9, 8)).astype(np.uint8),
        "train_labels": np.array([[0], [1], [0], [1], [1], [0]]),
    }
    volumes = {"image": rng.normal(size=(5, 6, 7)).astype(np.float32), "mask": rng.integers(0, 3, (5, 6, 7)).astype(np.uint8)}
    seeds = []
    for name, content in (("rows", arrays), ("volume", volumes)):
        for save, how in ((np.savez, "stored"), (np.savez_compressed, "packed")):
            file = io.BytesIO()
            save(file, **content)
            seeds.append(Seed("npz", f"{name}-{how}", ".npz", file.getvalue()))
        first = next(iter(content))
        rest = {k: v for k, v in content.items() if k != first}
        seeds.append(
            Seed(
                "npz",
                f"{name}, inside",
                ".npz",
                _npy(content[first]),
                _zipped({f"{k}.npy": _npy(v) for k, v in rest.items()}, f"{first}.npy"),
            )
        )
    dicom = (data / "dicom" / "seg_sr_rt" / "highdicom" / "ct_image.dcm").read_bytes()
    seeds.append(Seed("zip", "export", ".zip", _zipped({"DICOM/IM1": dicom}, "DICOM/IM2")(dicom)))
    seeds.append(Seed("zip", "export, inside", ".zip", dicom, _zipped({"readme.txt": b"x"}, "DICOM/IM1")))
    return seeds


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _zipped(others: dict[str, bytes], name: str) -> Callable[[bytes], bytes]:
    def pack(content: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for member, held in (others | {name: content}).items():
                archive.writestr(zipfile.ZipInfo(member), held, zipfile.ZIP_DEFLATED)
        return file.getvalue()

    return pack


# ---- drawn labels and sheets ------------------------------------------------------------------------


def _drawn() -> list[Seed]:
    box, outline = [10.5, 20.0, 30.0, 40.0], [10.0, 20.0, 40.0, 20.0, 40.0, 60.0]
    size = {"width": PICTURE[1], "height": PICTURE[0]}
    coco = {
        "info": {"description": "made for tests"},
        "images": [{"id": 1, "file_name": PICTURE_NAME, **size}, {"id": 2, "file_name": "other.jpg", **size}],
        "categories": [{"id": 1, "name": "tumour"}, {"id": 2, "name": "cyst", "supercategory": "lesion"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": box, "segmentation": [outline], "area": 1200, "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": box, "segmentation": [], "score": 0.5, "reader": "A"},
            {
                "id": 3,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 1,
                "segmentation": {"size": list(PICTURE), "counts": [100, 50, 409450]},
            },
            {"id": 4, "image_id": 2, "category_id": 1, "segmentation": {"size": [6, 6], "counts": "04040400"}},
        ],
    }
    shapes = [
        {"label": "tumour", "points": [[1, 2], [30, 4], [30, 60]], "shape_type": "polygon", "flags": {}, "group_id": None},
        {"label": "cyst", "points": [[1, 2], [30, 40]], "shape_type": "rectangle"},
        {"label": "cyst", "points": [[100, 100], [130, 100]], "shape_type": "circle"},
    ]
    labelme = {
        "version": "5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": PICTURE_NAME,
        "imageData": None,
        "imageHeight": PICTURE[0],
        "imageWidth": PICTURE[1],
    }
    polygon = {"name": "polygon", "all_points_x": [1, 30, 30], "all_points_y": [2, 4, 60]}
    regions = [
        {"shape_attributes": polygon, "region_attributes": {"label": "tumour"}},
        {"shape_attributes": {"name": "circle", "cx": 50, "cy": 60, "r": 10}, "region_attributes": {"label": "cyst"}},
        {
            "shape_attributes": {"name": "ellipse", "cx": 50, "cy": 60, "rx": 10, "ry": 5, "theta": 0.3},
            "region_attributes": {"label": "cyst"},
        },
        {"shape_attributes": {"name": "rect", "x": 5, "y": 6, "width": 10, "height": 5}, "region_attributes": {"label": "cyst"}},
    ]
    via = {f"{PICTURE_NAME}123": {"filename": PICTURE_NAME, "size": 123, "regions": regions, "file_attributes": {}}}
    listed = "\n".join(
        f'{PICTURE_NAME},123,"{{}}",{len(regions)},{k},"{json.dumps(r["shape_attributes"]).replace(chr(34), chr(34) * 2)}",'
        f'"{json.dumps(r["region_attributes"]).replace(chr(34), chr(34) * 2)}"'
        for k, r in enumerate(regions)
    )
    table = f"filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n{listed}\n"
    voc = (
        f"<annotation><filename>{PICTURE_NAME}</filename><size><width>{PICTURE[1]}</width><height>{PICTURE[0]}</height><depth>3</depth></size>"
        "<object><name>tumour</name><difficult>0</difficult><bndbox><xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>"
        "<object><name>cyst</name><bndbox><xmin>100.5</xmin><ymin>20</ymin><xmax>300</xmax><ymax>40</ymax></bndbox></object></annotation>"
    )
    return [
        Seed("coco", "coco", ".json", json.dumps(coco).encode()),
        Seed("labelme", "labelme", ".json", json.dumps(labelme).encode()),
        Seed("via", "via", ".json", json.dumps(via).encode()),
        Seed(
            "via",
            "via project",
            ".json",
            json.dumps({"_via_settings": {}, "_via_img_metadata": via, "_via_attributes": {}}).encode(),
        ),
        Seed("via", "via table", ".csv", table.encode()),
        Seed("voc", "voc", ".xml", voc.encode()),
        Seed("yolo", "boxes", ".txt", b"0 0.5 0.5 0.2 0.3\n1 0.25 0.75 0.1 0.1\n0 0.9 0.1 0.05 0.05\n"),
        Seed("yolo", "outlines", ".txt", b"0 0.1 0.1 0.5 0.1 0.5 0.6 0.2 0.4\n1 0.25 0.75 0.3 0.75 0.3 0.9\n"),
    ]


def _sheets() -> list[Seed]:
    rows = [["patient", "file", "date", "label", "age", "volume"]]
    rows += [
        [f"P{k:03d}", f"image{k}.dcm", f"2024-{k % 12 + 1:02d}-17", str(k % 2), str(40 + k), f"{k * 1.5:.2f}"] for k in range(30)
    ]
    lines = "\n".join(",".join(row) for row in rows)
    book = openpyxl.Workbook()
    page = book.active
    for row in rows:
        page.append([float(cell) if cell.replace(".", "").isdigit() else cell for cell in row])
    page.merge_cells("A40:B40")
    page["A2"].number_format = "000"
    file = io.BytesIO()
    book.save(file)
    seeds = [
        Seed("sheet", "commas", ".csv", lines.encode()),
        Seed("sheet", "semicolons", ".csv", lines.replace(".", "\0").replace(",", ";").replace("\0", ",").encode("cp1252")),
        Seed("sheet", "utf-16", ".csv", lines.replace(",", "\t").encode("utf-16")),
        Seed("workbook", "workbook", ".xlsx", file.getvalue()),
    ]
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name in ("xl/worksheets/sheet1.xml", "xl/styles.xml", "xl/workbook.xml", "xl/sharedStrings.xml"):
        if name in members:
            rest = {k: v for k, v in members.items() if k != name}
            seeds.append(Seed("workbook", f"workbook, {name}", ".xlsx", members[name], _zipped(rest, name)))
    return seeds
