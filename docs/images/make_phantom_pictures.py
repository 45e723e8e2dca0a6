"""Draw the pictures of the phantom that the documentation shows: phantom_abdomen.png and phantom_chest.png.

python docs/images/make_phantom_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from scipy.ndimage import zoom

from overread.cohort.phantom import abdomen, chest_film
from overread.cohort.phantom.anatomy import draw_anatomy
from overread.cohort.phantom.chest import draw_thorax
from overread.cohort.phantom.chest_film import MASK_VALUES
from overread.cohort.phantom.covariates import SCANNERS, draw_person
from overread.cohort.phantom.film import FILM_UNITS
from overread.cohort.phantom.options import Options
from overread.cohort.phantom.plan import Planned, plan_exams

FOLDER = Path(__file__).parent
SEED, TILE, GAP, STRIP = 7, 300, 4, 20
BODY, LIVER = (50, 380), (90, 190)  # window centre and width, HU


def shade(hu: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    centre, width = window
    return (np.clip((hu - centre) / width + 0.5, 0, 1) * 255).astype(np.uint8)


def tile(grey: np.ndarray, caption: str, width: int = TILE, height: int = TILE) -> Pillow.Image:
    """One picture, fitted into its place, with a caption below."""
    picture = Pillow.new("L", (width, height + STRIP), 0)
    scale = min(width / grey.shape[1], height / grey.shape[0])
    fitted = Pillow.fromarray(grey).resize(
        (round(grey.shape[1] * scale), round(grey.shape[0] * scale)), Pillow.Resampling.BICUBIC
    )
    picture.paste(fitted, ((width - fitted.width) // 2, (height - fitted.height) // 2))
    ImageDraw.Draw(picture).text((4, height + 3), caption, fill=210, font=ImageFont.load_default(12))
    return picture


def sheet(rows: list[list[Pillow.Image]], title: str) -> Pillow.Image:
    width = max(sum(t.width + GAP for t in row) for row in rows) + GAP
    page = Pillow.new("L", (width, sum(row[0].height + GAP for row in rows) + 34), 0)
    ImageDraw.Draw(page).text((8, 8), title, fill=255, font=ImageFont.load_default(16))
    top = 32
    for row in rows:
        left = GAP
        for item in row:
            page.paste(item, (left, top))
            left += item.width + GAP
        top += row[0].height + GAP
    return page


def exam_of(number: int, site: int | None = None) -> Planned:
    person = draw_person(SEED, "abdomen", number)
    person = person if site is None else person.at_site(site)
    return Planned(person, 0, person.patient_id, f"{person.patient_id}_S1", person.exam_dates[0], "", person.burden != "none")


def levels(number: int, size: int) -> list[list[Pillow.Image]]:
    """Axial levels and coronal planes of one patient, then the same patient on the other scanner."""
    hu, _, _, protocol, _ = abdomen.simulate(exam_of(number, 0), Options("abdomen", 1, "nifti", size, None, SEED, ()))
    spots = ((0.86, "domes"), (0.7, "hepatic veins"), (0.59, "portal vein"), (0.46, "kidneys"), (0.2, "bowel"))
    axial = [tile(shade(hu[int(len(hu) * at)], BODY), f"axial, {name}") for at, name in spots]
    stretch = protocol.grid.spacing[0] / protocol.grid.spacing[1]
    coronal = []
    for at in (0.4, 0.5, 0.6):
        plane = zoom(hu[::-1, int(size * at)].astype(np.float32), (stretch, 1), order=1)
        coronal.append(tile(shade(plane, BODY), f"coronal, {SCANNERS[0].model}"))
    other, _, _, _, _ = abdomen.simulate(exam_of(number, 1), Options("abdomen", 1, "nifti", size, None, SEED, ()))
    pair = []
    for volume, scanner in ((hu, SCANNERS[0]), (other, SCANNERS[1])):
        part = volume[int(len(volume) * 0.66)][size // 6 : size * 5 // 6, : size * 2 // 3]
        pair.append(tile(shade(part, LIVER), f"{scanner.model}, {scanner.kernel}, {scanner.thickness_mm:.0f} mm"))
    return [axial, [*coronal, *pair]]


def lesion_tiles(size: int) -> list[Pillow.Image]:
    """One example of each lesion and mimic, the largest that suits."""
    wanted = {
        ("metastasis", "rim"): "metastasis with rim",
        ("metastasis", "necrotic"): "necrotic metastasis",
        ("haemangioma", ""): "haemangioma",
        ("cyst", ""): "cyst",
        ("perfusion", ""): "perfusion difference",
    }
    examples: dict[tuple[str, str], tuple[float, int, int]] = {}
    for number in range(1, 41):
        anatomy = draw_anatomy(SEED, draw_person(SEED, "abdomen", number))
        for k, lesion in enumerate(anatomy.lesions, 1):
            key = (lesion.kind, lesion.style if lesion.kind == "metastasis" else "")
            fits = 18 < lesion.diameter < 40 and (lesion.kind != "perfusion" or lesion.contrast > 0)
            if key in wanted and fits and lesion.diameter * abs(lesion.contrast) > examples.get(key, (0, 0, 0))[0]:
                examples[key] = (lesion.diameter * abs(lesion.contrast), number, k)
    tiles = []
    for key, (_, number, k) in sorted(examples.items(), key=lambda item: list(wanted).index(item[0])):
        hu, structures, instances, _, _ = abdomen.simulate(
            exam_of(number, 0), Options("abdomen", 1, "nifti", size, None, SEED, ())
        )
        where = np.argwhere(instances == k)
        z = int(np.bincount(where[:, 0]).argmax())
        y, x = where[where[:, 0] == z][:, 1:].mean(0).astype(int)
        half = size // 5
        y, x = int(np.clip(y, half, size - half)), int(np.clip(x, half, size - half))
        window = (float(np.median(hu[structures == 1])), 170.0)
        tiles.append(tile(shade(hu[z, y - half : y + half, x - half : x + half], window), wanted[key]))
    return tiles


def chest_tiles(size: int) -> list[list[Pillow.Image]]:
    """Films of both systems: without a finding, with pneumonia, with a nodule; findings that can be seen in a small picture."""
    options = Options("chest", 40, "png", size, None, SEED, ())
    first = [p for p in plan_exams(options) if p.exam == 0]
    nodules = {p.exam_id: max((n.diameter for n in draw_thorax(SEED, p.person).nodules), default=0.0) for p in first}
    rows = []
    for site, unit in enumerate(FILM_UNITS):
        at_site = [p for p in first if p.person.site == site]
        clear = [p for p in at_site if nodules[p.exam_id] == 0]
        ill = [chest_film.simulate(p, options) for p in clear if p.is_positive][:4]
        shots = {
            "no finding": chest_film.simulate(next(p for p in clear if not p.is_positive), options),
            "pneumonia": max(ill, key=lambda shot: int((shot.mask[:, : size // 3] == MASK_VALUES["consolidation"]).sum())),
            "nodule": chest_film.simulate(
                max((p for p in at_site if not p.is_positive), key=lambda p: nodules[p.exam_id]), options
            ),
        }
        about = f"{unit.model} ({unit.modality}, {unit.view})"
        shift = unit.bits - 8
        rows.append([tile((s.stored >> shift).astype(np.uint8), f"{name}, {about}", 440, 440) for name, s in shots.items()])
    return rows


def main() -> None:
    rows = [*levels(8, 320), lesion_tiles(320)]
    sheet(rows, "PHANTOM  Portal venous CT of the abdomen, computed; patient's right on the left").save(
        FOLDER / "phantom_abdomen.png", optimize=True
    )
    sheet(chest_tiles(440), "PHANTOM  Chest films, computed; patient's right on the left").save(
        FOLDER / "phantom_chest.png", optimize=True
    )


if __name__ == "__main__":
    main()
