"""What `benchmarks/fuzz.py` once found in the readers of DICOM, each kept as a small file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from imaging.make_dicom import ENHANCED_MR, make_enhanced, make_tags, write
from overread.core.errors import Refused
from overread.imaging.dicom import parse as parsing
from overread.imaging.dicom.header import read_header
from overread.imaging.dicom.parse import parse
from overread.imaging.dicom.rtstruct_reading import read_rtstruct
from overread.imaging.dicom.seg_reading import seg_facts
from overread.imaging.dicom.sr_reading import read_sr
from overread.imaging.door import open_path
from overread.imaging.scan import scan

PIXELS = np.arange(30, dtype=np.int16).reshape(6, 5)
ZEROS = bytes(1 << 22)
OPENED = b"\x40\0\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
READERS = (seg_facts, read_rtstruct, read_sr, open_path)


def file_of(path: Path, **changes: object) -> bytes:
    """A file that the quick reader leaves to the general parser: its text is not plain."""
    changes = {"SpecificCharacterSet": "ISO_IR 100", "SeriesDescription": "Übersicht"} | changes
    return write(make_tags(PIXELS, **changes), path).read_bytes()


def place_of(content: bytes, group: int, element: int) -> int:
    return content.index(struct.pack("<HH", group, element), 132)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("at", [(0x0008, 0x0005), (0x0028, 0x0010), (0x7FE0, 0x0010)])
def test_a_long_tail_of_zeros_is_no_million_of_elements(tmp_path, read, at):
    path = tmp_path / "a.dcm"
    content = file_of(path)
    path.write_bytes(content[: place_of(content, *at)] + ZEROS)
    with pytest.raises(Refused):
        read(path)


def test_a_header_that_ends_in_zeros_has_no_pixels(tmp_path):
    path = tmp_path / "a.dcm"
    content = file_of(path)
    path.write_bytes(content[: place_of(content, 0x7FE0, 0x0010)] + ZEROS)
    assert not read_header(path).has_pixels
    path.write_bytes(content[: place_of(content, 0x0008, 0x0005)] + ZEROS)
    with pytest.raises(Refused, match="zeros stand where its elements should begin"):
        read_header(path)


def test_a_tail_of_zeros_behind_the_pixels_hurts_nobody(tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(file_of(path) + ZEROS)
    assert read_header(path).rows == 6
    assert int(parse(path).Rows) == 6


@pytest.mark.parametrize("length", [0xFFFFFFF0, 0x7FFFFFFF])
def test_an_element_that_claims_gigabytes_is_not_believed(tmp_path, length):
    path = tmp_path / "a.dcm"
    content = file_of(path)
    at = place_of(content, 0x0010, 0x0020)
    (old,) = struct.unpack_from("<H", content, at + 6)
    path.write_bytes(content[: at + 4] + b"UT\0\0" + struct.pack("<I", length) + content[at + 8 + old :])
    with pytest.raises(Refused, match=r"ends inside the element \(0010,0020\)"):
        read_header(path)


def test_a_header_element_of_megabytes_is_refused(tmp_path):
    path = tmp_path / "a.dcm"
    content = file_of(path)
    at = place_of(content, 0x0010, 0x0020)
    (old,) = struct.unpack_from("<H", content, at + 6)
    long = b"UT\0\0" + struct.pack("<I", 9 << 20) + b"x" * (9 << 20)
    path.write_bytes(content[: at + 4] + long + content[at + 8 + old :])
    with pytest.raises(Refused, match=r"\(0010,0020\) has 9437184 bytes"):
        read_header(path)


@pytest.mark.parametrize("depth", [100, 10_000])
def test_sequences_deeper_than_any_stack_are_refused(tmp_path, depth):
    path = tmp_path / "a.dcm"
    content = file_of(path)
    at = place_of(content, 0x7FE0, 0x0010)
    path.write_bytes(content[:at] + OPENED * depth + bytes(2 << 20) + content[at:])
    with pytest.raises(Refused, match="nested too deeply"):
        read_header(path)


def test_more_elements_than_any_object_has_are_refused(tmp_path):
    path = tmp_path / "a.dcm"
    content = file_of(path)
    at = place_of(content, 0x7FE0, 0x0010)
    path.write_bytes(content[:at] + b"\x09\0\x10\0SH\x02\0ab" * 60_000 + content[at:])
    with pytest.raises(Refused, match="more than 50000 elements"):
        parse(path)


def deflated(path: Path, pixels: np.ndarray) -> Path:
    """As a scanner would write it."""
    tags = make_tags(pixels)
    tags.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return write(tags, path)


def test_a_deflated_file_reads_as_before(tmp_path):
    path = deflated(tmp_path / "a.dcm", PIXELS)
    assert (parse(path).pixel_array == PIXELS).all()
    assert read_header(path).rows == 6


def test_a_deflated_file_is_inflated_only_so_far(tmp_path, monkeypatch):
    path = deflated(tmp_path / "a.dcm", np.zeros((2000, 1000), np.int16))
    monkeypatch.setattr(parsing, "INFLATED", 1 << 20)
    monkeypatch.setattr(parsing, "INFLATED_HEADER", 1 << 20)
    with pytest.raises(Refused, match="inflates to more than 1 MiB"):
        parse(path)
    assert read_header(path).rows == 2000  # the pixels are not needed for it


def test_a_deflate_bomb_is_refused(tmp_path):
    content = file_of(tmp_path / "b.dcm")
    end = place_of(content, 0x0008, 0x0005)
    head = content[:end].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    at = head.index(b"\x02\0\x10\0UI") + 6
    head = head[:at] + struct.pack("<H", 22) + head[at + 2 :]
    (group,) = struct.unpack_from("<I", head, 140)
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(b"\x09\0\x10\0UN\0\0\xf0\xff\xff\xff") + packer.compress(bytes(80 << 20)) + packer.flush()
    path = tmp_path / "a.dcm"
    path.write_bytes(head[:140] + struct.pack("<I", group + 2) + head[144:] + bomb)
    with pytest.raises(Refused):
        open_path(path)


def test_a_sequence_that_is_none_is_refused_and_not_overlooked(tmp_path):
    frames = [{"position": (0.0, 0.0, 5.0 * k)} for k in range(3)]
    path = write(make_enhanced(np.stack([PIXELS] * 3), frames, ENHANCED_MR), tmp_path / "a.dcm")
    content = path.read_bytes()
    at = place_of(content, 0x5200, 0x9230)
    path.write_bytes(
        content[:at] + struct.pack("<HH2sH", 0x5200, 0x9230, b"IS", 2) + b"1 " + content[place_of(content, 0x7FE0, 0x0010) :]
    )
    with pytest.raises(Refused):
        open_path(path)
    assert [refused.code for refused in scan(tmp_path).refused] == ["unreadable"]


def test_some_writers_change_to_implicit_inside_a_sequence(tmp_path):
    tags = make_tags(PIXELS)
    tags.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    path = write(tags, tmp_path / "a.dcm")
    assert read_header(path).rows == 6
    content = file_of(path)
    at = place_of(content, 0x0028, 0x0002)
    inside = struct.pack("<HHI", 0x0008, 0x1155, 4) + b"1.2\0"
    item = b"\xfe\xff\0\xe0" + struct.pack("<I", 0xFFFFFFFF) + inside + b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    path.write_bytes(content[:at] + b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff" + item + content[at:])
    assert read_header(path).rows == 6
