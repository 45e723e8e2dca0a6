"""Images made during training, of the same random numbers at every look: what the network learned, and when."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from overread.imaging.made import SyntheticMark
from overread.record.files import write_bytes
from overread.record.run import RunFolder

if TYPE_CHECKING:  # the report, which needs no network, shows what was kept
    from overread.reading.making import Guide, ImageMaker

FOLDER = "made"
COUNT = 6
SEED = 0
STEPS = 20  # of a diffusion, at a look
KEPT = 12  # looks; between them the nearest are left out


def keep_made(run: RunFolder, maker: ImageMaker, guides: Sequence[Guide] = ()) -> np.ndarray:
    """Write the images of this look beside the earlier ones, as float16 in the units of the cohort; (COUNT, C, Z, Y, X) float32.

    guides  the masks along which they are made, `COUNT` of them or none
    """
    folder = run.path / FOLDER
    number = 1 + max((int(path.stem.partition("-")[2]) for path in folder.glob("look-*.npz")), default=0)
    steps = STEPS if maker.takes_steps else None
    made = np.stack([picture.array for picture in maker.make(COUNT, SEED, steps=steps, guides=guides)])
    text = io.BytesIO()
    mark = SyntheticMark("synthetic", f"images of one look of a training, seed {SEED}", "")
    np.savez_compressed(text, made=made.astype(np.float16), mark=np.array(mark.sentence))
    write_bytes(folder / f"look-{number:04d}.npz", text.getvalue())
    return made


def made_at_looks(run: RunFolder) -> tuple[np.ndarray, tuple[int, ...]]:
    """(E, S, Z, Y, X) first channel of what was made at some looks spread over the training, and their numbers."""
    paths = sorted((run.path / FOLDER).glob("look-*.npz"))
    if not paths:
        return np.zeros((0, COUNT, 1, 1, 1), np.float32), ()
    chosen = [paths[k] for k in sorted({round(float(k)) for k in np.linspace(0, len(paths) - 1, min(KEPT, len(paths)))})]
    numbers = tuple(int(path.stem.partition("-")[2]) for path in chosen)
    return np.stack([np.load(path)["made"][:, 0].astype(np.float32) for path in chosen]), numbers
