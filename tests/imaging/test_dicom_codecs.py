"""Compressed pixels: every coding, fragments, several processes, damage and codecs that are not there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from imaging.make_dicom import make_series, make_tags, write
from overread.core.errors import Refused
from overread.imaging.dicom import codecs, decoding
from overread.imaging.dicom.header import read_header
from overread.imaging.dicom.pixels import FrameSlot, PixelFile, stored_frame
from overread.imaging.dicom.volume import open_dicom

EXTENDED, LOSSLESS = "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.70"


def packaged(name: str) -> Path:
    return Path(str(get_testdata_file(name, download=False)))


def by_gdcm(path: Path, syntax: int) -> Path:
    """The file recoded by GDCM, beside it."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path.with_suffix(".jpg.dcm")))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return path.with_suffix(".jpg.dcm")


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("coding", [RLELossless, JPEGLSLossless, JPEG2000Lossless, LOSSLESS])
def test_every_lossless_coding_gives_back_what_was_coded(tmp_path: Path, coding: str, is_signed: bool, bits: int) -> None:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if is_signed else (0, (1 << bits) - 1)
    kind = np.dtype(f"{'i' if is_signed else 'u'}{1 if bits == 8 else 2}")
    pixels = np.random.default_rng(0).integers(low, high + 1, (40, 36)).astype(kind)
    pixels[0, :2] = low, high
    tags = make_tags(pixels, BitsStored=bits, HighBit=bits - 1)
    if coding == LOSSLESS:
        path = by_gdcm(write(tags, tmp_path / "a.dcm"), gdcm.TransferSyntax.JPEGLosslessProcess14_1)
    else:
        tags.compress(coding)
        path = write(tags, tmp_path / "a.dcm")
    np.testing.assert_array_equal(stored_frame(read_header(path)), pixels)


@pytest.mark.filterwarnings("ignore")
def test_jpeg_of_12_bits_as_dcmtk_reads_it(tmp_path: Path) -> None:
    path = packaged("JPGExtended.dcm")
    try:
        subprocess.run(["dcmdjpeg", path, tmp_path / "plain.dcm"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("dcmtk is not installed")
    np.testing.assert_array_equal(stored_frame(read_header(path)), pydicom.dcmread(tmp_path / "plain.dcm").pixel_array)


def multi_frame(path: Path, how: str) -> tuple[Path, np.ndarray]:
    """A loop of four frames in JPEG-LS, with or without tables, whole or in fragments."""
    frames = np.random.default_rng(1).integers(0, 255, (4, 16, 12)).astype(np.uint8)
    streams = []
    for frame in frames:
        tags = make_tags(frame, "1.2.840.10008.5.1.4.1.1.7.2", Modality="US")
        tags.compress(JPEGLSLossless)
        streams.append(next(generate_frames(tags.PixelData, number_of_frames=1)))
    tags.NumberOfFrames = 4
    if how == "extended":
        tags.PixelData, tags.ExtendedOffsetTable, tags.ExtendedOffsetTableLengths = encapsulate_extended(streams)
    else:
        tags.PixelData = encapsulate(streams, fragments_per_frame=3 if "fragments" in how else 1, has_bot="table" in how)
    tags["PixelData"].is_undefined_length = True
    return write(tags, path), frames


@pytest.mark.parametrize("how", ["bare", "table", "extended", "fragments and table", "fragments"])
def test_frames_are_found_however_they_are_packed(tmp_path: Path, how: str) -> None:
    path, frames = multi_frame(tmp_path / "a.dcm", how)
    for k in (3, 0, 2):
        np.testing.assert_array_equal(open_dicom([path], index=k).array[0, 0], frames[k])
    with pytest.raises(Refused, match="4 frames without a place in the patient") as refusal:
        open_dicom([path])
    assert refusal.value.code == "multi-frame"


def test_a_loop_that_ends_early_is_refused(tmp_path: Path) -> None:
    path, _ = multi_frame(tmp_path / "a.dcm", "bare")
    tags = pydicom.dcmread(path)
    tags.NumberOfFrames = 6
    with pytest.raises(Refused, match="says it has 6 frames; its pixels are in 4 pieces") as refusal:
        open_dicom([write(tags, tmp_path / "b.dcm")], index=5)
    assert refusal.value.code == "truncated"


def compressed_series(folder: Path, coding: str, count: int = 6) -> list[Path]:
    volume = np.random.default_rng(0).integers(0, 2000, (count, 40, 36)).astype(np.int16)
    files = make_series(folder, [float(k) for k in range(count)], volume=volume)
    for file in files:
        tags = pydicom.dcmread(file)
        tags.compress(coding)
        write(tags, file)  # type: ignore[arg-type]
    return files


def test_processes_decode_the_same_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = compressed_series(tmp_path, JPEGLSLossless)
    monkeypatch.setattr(decoding, "process_count", lambda slots: 0)
    alone = open_dicom(files)
    monkeypatch.setattr(decoding, "process_count", lambda slots: 3)
    together = open_dicom(files)
    np.testing.assert_array_equal(alone.array, together.array)
    assert alone.array.dtype == together.array.dtype


@pytest.mark.parametrize("processes", [0, 1, 3])
@pytest.mark.parametrize("coding", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_a_damaged_slice_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coding: str, processes: int) -> None:
    files = compressed_series(tmp_path, coding)
    monkeypatch.setattr(decoding, "process_count", lambda slots: processes)
    tags = pydicom.dcmread(files[3])
    stream = next(generate_frames(tags.PixelData, number_of_frames=1))
    tags.PixelData = encapsulate([stream[: len(stream) // 4 * 2]])
    write(tags, files[3])  # type: ignore[arg-type]
    with pytest.raises(Refused, match=rf"{files[3].name} .*cannot be decoded") as refusal:
        open_dicom(files)
    assert refusal.value.code in ("truncated", "unreadable")


def test_a_decoder_that_crashes_takes_only_its_own_process(tmp_path: Path) -> None:
    files = [PixelFile(read_header(path)) for path in compressed_series(tmp_path, JPEGLSLossless)]
    slots = [FrameSlot(file, 0) for file in files]

    class Crashing(PixelFile):
        def read_into(self, target: np.ndarray, index: int = 0) -> None:
            os._exit(139)

    slots[1] = FrameSlot(Crashing(files[1].header), 0)
    with pytest.raises(Refused, match="A decoder crashed or ran away on one of the 6 slices"):
        decoding.decode_all(slots, processes=2)


def test_a_stream_of_another_size_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    tags = make_tags(np.zeros((40, 40), np.uint16))
    tags.compress(JPEG2000Lossless)
    tags.Rows = 60000
    with pytest.raises(Refused, match="the compressed frame is 40 x 40 x 1, the header says 60000 x 40 x 1"):
        stored_frame(read_header(write(tags, tmp_path / "a.dcm")))
    tags = make_tags(np.zeros((40, 40), np.uint16))
    tags.compress(RLELossless)
    tags.Rows = tags.Columns = 60000
    with pytest.raises(Refused, match="too short for 60000 x 60000 pixels"):
        stored_frame(read_header(write(tags, tmp_path / "b.dcm")))


@pytest.mark.filterwarnings("ignore")
def test_a_missing_codec_names_itself_the_file_and_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "get_decoder", lambda uid: SimpleNamespace(available_plugins=()))
    for name, says in (
        (
            "MR_small_jpeg_ls_lossless.dcm",
            r"JPEG-LS Lossless .*\(1.2.840.10008.1.2.4.80\) with 16 bits.*\n  Next: pip install pyjpegls",
        ),
        ("MR_small_jp2klossless.dcm", r"JPEG 2000 .* no decoder .*\n  Next: pip install pylibjpeg pylibjpeg-openjpeg; or export"),
        ("SC_rgb_jpeg_gdcm.dcm", r"JPEG Lossless.*\n  Next: pip install python-gdcm"),
    ):
        with pytest.raises(Refused, match=f"{name} is coded as {says}") as refusal:
            stored_frame(read_header(packaged(name)))
        assert refusal.value.code == "missing-codec"


def test_video_is_no_codec_of_ours(tmp_path: Path) -> None:
    tags = make_tags(np.zeros((16, 16), np.uint8), "1.2.840.10008.5.1.4.1.1.77.1.1.1", Modality="ES")
    tags.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    tags.PixelData = encapsulate([b"\0\0\0\x18ftyp" * 4])
    tags["PixelData"].is_undefined_length = True
    with pytest.raises(Refused, match=r"MPEG-4.* which Overread does not decode.\n  Next: export the series uncompressed"):
        stored_frame(read_header(write(tags, tmp_path / "a.dcm")))
