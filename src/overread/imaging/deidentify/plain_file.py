"""Files of other formats than DICOM: headers and text are cleared, pixels are not touched, names become codes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from overread.core.errors import OverreadError, Refused
from overread.imaging.deidentify.look import MOST_PIXELS, TOO_LARGE, look_at_frames
from overread.imaging.deidentify.names import new_name
from overread.imaging.deidentify.nifti_header import clear_nifti
from overread.imaging.deidentify.raster_chunks import clear_jpeg, clear_png
from overread.imaging.deidentify.settings import Done, Look, Settings
from overread.imaging.deidentify.text_headers import clear_mha, clear_nrrd

Clearing = Callable[[Path, Path, Counter[tuple[str, str]]], None]
CLEARINGS: dict[str, Clearing] = {
    ".nii": clear_nifti,
    ".nii.gz": clear_nifti,
    ".png": clear_png,
    ".jpg": clear_jpeg,
    ".jpeg": clear_jpeg,
    ".nrrd": clear_nrrd,
    ".mha": clear_mha,
}
PICTURES = (".png", ".jpg", ".jpeg")


def suffix_of(name: str) -> str:
    """The format by the name; "" for one that cannot be cleared."""
    return next((suffix for suffix in sorted(CLEARINGS, key=len, reverse=True) if name.lower().endswith(suffix)), "")


def deidentify_plain(path: Path, source: str, out: Path, settings: Settings) -> Done:
    """Write the cleared copy below `out` under its new name."""
    suffix = suffix_of(path.name)
    name = new_name(source, settings.secret)
    log: Counter[tuple[str, str]] = Counter()
    written = out / name
    written.parent.mkdir(parents=True, exist_ok=True)
    if written.exists():
        raise Refused("duplicate-file", f"{path.name} would get the name of another file.", "rename one of them")
    _clear(suffix, path, written, log)
    log["file name", "replaced"] += 1
    look = _look(written) if suffix in PICTURES else None
    return Done(source, name, suffix.lstrip("."), None, "", str(Path(name).parent), "", log, look)


def _clear(suffix: str, path: Path, written: Path, log: Counter[tuple[str, str]]) -> None:
    try:
        CLEARINGS[suffix](path, written, log)
    except (OverreadError, OSError, MemoryError):
        raise
    except Exception as error:  # a damaged file can fail in any way inside a library; nothing of it is written
        raise Refused("unreadable", f"{path.name} is damaged: {type(error).__name__}.", "fetch the file again") from error


def _look(path: Path) -> Look:
    try:
        with Pillow.open(path) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                return Look((TOO_LARGE,), (), b"")
            frame = np.asarray(picture.convert("RGB" if picture.mode in ("P", "RGB", "RGBA", "CMYK", "YCbCr") else "F"))
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError):
        return Look(("its pixels could not be looked at",), (), b"")
    return look_at_frames([frame], ())
