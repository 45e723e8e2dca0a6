"""NIfTI-1 and NIfTI-2: text fields and extensions of the header are emptied; every other byte stays.

Fields: nifti1.h and nifti2.h. The extensions between header and voxels (DICOM, AFNI, XML) are cut out whole, since they
hold what a converter copied from the scanner. A .gz file is packed anew: its own header names the original file.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from pathlib import Path

import nibabel
import numpy as np

from overread.core.errors import Refused
from overread.imaging.made import kept_words

TEXTS = ("data_type", "db_name", "descrip", "aux_file", "intent_name")
LARGEST = 1 << 30


def clear_nifti(path: Path, written: Path, log: Counter[tuple[str, str]]) -> None:
    """Write the cleared copy."""
    content = _content(path)
    header = _header_type(path, content).template_dtype
    order = _byte_order(path, content, header)
    fields = np.frombuffer(content[: header.itemsize], header.newbyteorder("<" if order == "<" else ">")).copy()
    mark = kept_words(bytes(fields["descrip"][0]).decode("latin-1"))  # what is not a patient's image stays known as such
    for name in TEXTS:
        if name in (header.names or ()) and fields[name][0]:
            log[f"NIfTI {name}", "emptied"] += 1
            fields[name] = b""
    if mark:
        fields["descrip"] = mark.encode()
    start = int(fields["vox_offset"][0])
    if not header.itemsize <= start <= len(content):
        raise Refused(
            "unreadable", f"{path.name} says that its voxels begin at byte {start}.", "write it anew; .hdr and .img are not taken"
        )
    if start > header.itemsize + 4:
        log["NIfTI extensions", "removed"] += 1
    fields["vox_offset"] = header.itemsize + 4
    cleared = fields.tobytes() + b"\0\0\0\0" + content[start:]
    written.write_bytes(gzip.compress(cleared, 6, mtime=0) if path.name.lower().endswith(".gz") else cleared)


def _content(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise Refused("too-large", f"{path.name} is larger than 1 GiB.", "split it")
    try:
        content = path.read_bytes()
        if not path.name.lower().endswith(".gz"):
            return content
        unpacker = zlib.decompressobj(31)
        content = unpacker.decompress(content, LARGEST)
        if unpacker.unconsumed_tail:
            raise Refused("too-large", f"{path.name} unpacks to more than 1 GiB.", "split it")
        if not unpacker.eof:
            raise Refused("truncated", f"{path.name} ends inside its packed content.", "fetch the file again")
        return content
    except zlib.error as error:
        raise Refused("unreadable", f"{path.name} cannot be unpacked: {error}.", "fetch the file again") from error


def _header_type(path: Path, content: bytes) -> type[nibabel.Nifti1Header]:
    if len(content) >= 540 and content[4:8] == b"n+2\0":
        return nibabel.Nifti2Header
    if len(content) >= 348 and content[344:348] == b"n+1\0":
        return nibabel.Nifti1Header
    raise Refused("unreadable", f"{path.name} is no NIfTI file of one part (.nii).", "write it anew; .hdr and .img are not taken")


def _byte_order(path: Path, content: bytes, header: np.dtype) -> str:
    for order in "<>":
        if int(np.frombuffer(content[:4], f"{order}i4")[0]) == header.itemsize:
            return order
    raise Refused("unreadable", f"{path.name} has a damaged NIfTI header.", "fetch the file again")
