"""Images made along masks: from images and masks to a model, and to made images with the masks that they follow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest

import overread
from overread.cohort.beside import MadeBeside
from overread.cohort.identity import read_links
from overread.cohort.load import load_truth
from overread.cohort.split_identity import trained_on
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure
from overread.imaging.door import open_image
from overread.imaging.nifti import write_nifti
from overread.imaging.raster import read_raster_header
from overread.record.files import digest_file
from overread.workflow.anomaly import anomaly_of_studies
from overread.workflow.generation.made_beside import MadeImages, made_beside
from overread.workflow.sample import Wanted, sample

SMALL = {"training.network.features": "[8,16]"}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Thirty films of bright discs, each with its mask; one shows none."""
    root, random = tmp_path_factory.mktemp("films"), np.random.default_rng(0)
    rows, columns = np.mgrid[:16, :16]
    for name in ("images", "masks"):
        (root / name).mkdir()
    for k in range(30):
        y, x = random.uniform(4, 12, 2)
        disc = ((rows - y) ** 2 + (columns - x) ** 2 < 3.5**2) & (k > 0)
        pixels = 60 + 120 * disc + random.normal(0, 4, disc.shape)
        PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / "images" / f"film{k:02d}.png")
        PIL.Image.fromarray((3 * disc).astype(np.uint8)).save(root / "masks" / f"film{k:02d}.png")
    return root / "images", root / "masks"


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Eight volumes with a box in each."""
    root, random = tmp_path_factory.mktemp("volumes"), np.random.default_rng(1)
    grid = Grid.from_spacing((8, 12, 12), (2.0, 1.0, 1.0))
    for name in ("images", "masks"):
        (root / name).mkdir()
    for k in range(8):
        box = np.zeros(grid.shape, np.uint8)
        z, y, x = random.integers(1, 4, 3)
        box[z : z + 3, y : y + 5, x : x + 5] = 1
        write_nifti(root / "images" / f"p{k}.nii.gz", (100 + 50 * box + random.normal(0, 5, grid.shape)).astype(np.float32), grid)
        write_nifti(root / "masks" / f"p{k}.nii.gz", box, grid)
    return root / "images", root / "masks"


def _project(folders: tuple[Path, Path], place: Path, **words: object) -> overread.Project:
    images, masks = folders
    return overread.init(place, images=images, truth=masks, task="synthesize", by_mask=True, **words)  # type: ignore[arg-type]


def test_a_made_image_follows_its_mask(films: tuple[Path, Path], tmp_path: Path) -> None:
    """Bright where the mask is, after a short training; the pair lies under one name, marked, with the values of the truth."""
    project = _project(films, tmp_path / "p", names={"3": "disc"})
    assert (project.question.guides, project.question.values) == (("disc",), (3,))
    run = project.train(epochs=40, name="first", overrides=SMALL)
    model = next(run.path.glob("*.overread"))
    wanted = tmp_path / "wanted"
    wanted.mkdir()
    for name, part in (("left", np.s_[4:12, 1:8]), ("right", np.s_[4:12, 8:15])):
        mask = np.zeros((16, 16), np.uint8)
        mask[part] = 3
        PIL.Image.fromarray(mask).save(wanted / f"{name}.png")
    record = sample(model, tmp_path / "made", Wanted(3, along=wanted))
    digests = [digest_file(wanted / f"{name}.png") for name in ("left", "right") for _ in range(3)]
    assert record["followed"] == digests
    own = trained_on(project.path, project.cohort().partition, None)
    assert record["trained_on"] == own
    assert set(own) == {"cohort", "fold", "split"}
    kept = (tmp_path / "made" / "sample.json").read_text()
    assert json.loads(kept) == record
    assert "left" not in kept
    assert "right" not in kept
    link = tmp_path / "made-link.csv"
    assert link.stat().st_mode & 0o777 == 0o600
    rows = [f"{n}.png,{m},{d}" for n, m, d in zip(record["images"], ["left"] * 3 + ["right"] * 3, digests, strict=True)]
    assert link.read_text().splitlines() == ["image,mask,sha256", *rows]
    assert record["count"] == len(record["images"]) == 6
    for name in record["images"]:
        content = (tmp_path / "made" / f"{name}.png").read_bytes()
        assert b"SYNTHETIC IMAGE" in content
    differences = []
    for name in record["images"]:
        with PIL.Image.open(tmp_path / "made-masks" / f"{name}.png") as opened:
            mask = np.asarray(opened)
        assert set(np.unique(mask).tolist()) == {0, 3}
        pixels = open_image([tmp_path / "made" / f"{name}.png"], "raster").array[0, 0].astype(float)
        differences.append(pixels[mask == 3].mean() - pixels[mask == 0].mean())
    assert np.mean(differences) > 30
    found = anomaly_of_studies(project, [films[0] / "film00.png"], tmp_path / "found", rate=0.4)
    assert "taken away again" in found["method"]
    pair = overread.init(tmp_path / "q", images=films[0], truth=films[1], task="segmentation", names={"3": "disc"})
    assert pair.question.classes == ("disc",)


def test_the_seal_holds_masks(films: tuple[Path, Path], tmp_path: Path) -> None:
    project = _project(films, tmp_path / "p", names={"3": "disc"})
    cohort = project.cohort()
    assert isinstance(load_truth(cohort, cohort.of("tuning")[0]), LabelMap)
    sealed = cohort.of("internal")[0]
    assert sealed.truth is None
    with pytest.raises(OverreadError, match="under the seal of the internal test"):
        load_truth(cohort, sealed)


def test_volumes_are_made_along_masks_of_another_grid(volumes: tuple[Path, Path], tmp_path: Path) -> None:
    """A mask of half the spacing is put on the grid of the images as a training mask would be; a planar one is refused."""
    project = _project(volumes, tmp_path / "p", names={"1": "box"})
    run = project.train(epochs=1, name="first", overrides={**SMALL, "training.architecture": "diffusion_unet"})
    model, wanted = next(run.path.glob("*.overread")), tmp_path / "wanted"
    wanted.mkdir()
    fine = np.zeros((8, 24, 24), np.uint8)
    fine[2:6, 4:20, 4:20] = 1
    write_nifti(wanted / "fine.nii.gz", fine, Grid.from_spacing(fine.shape, (2.0, 0.5, 0.5)))
    (name,) = sample(model, tmp_path / "made", Wanted(along=wanted, steps=2))["images"]
    image = open_image([tmp_path / "made" / f"{name}.nii.gz"], "nifti")
    mask = open_image([tmp_path / "made-masks" / f"{name}.nii.gz"], "nifti")
    assert image.grid.is_same(mask.grid)
    volume = fine.sum() * 2.0 * 0.5 * 0.5
    assert mask.array.sum() * np.prod(mask.grid.spacing) == pytest.approx(volume, rel=0.3)
    (wanted / "fine.nii.gz").unlink()
    PIL.Image.fromarray(fine[3]).save(wanted / "flat.png")
    with pytest.raises(OverreadError, match=r"a planar mask; the model makes volumes"):
        sample(model, tmp_path / "other", Wanted(along=wanted))


@pytest.mark.parametrize("network", ["dcgan", "wasserstein_gan"])
def test_a_network_that_follows_no_mask_is_refused(films: tuple[Path, Path], tmp_path: Path, network: str) -> None:
    project = _project(films, tmp_path / "p")
    with pytest.raises(OverreadError, match=f"'{network}'.*cannot follow a mask(?s:.*)diffusion_unet, latent_diffusion"):
        project.plan(overrides={"training.architecture": network})


@pytest.mark.parametrize("stops_at", ["write_picture", "write_mask", "_links", "_sheet"])
def test_what_is_interrupted_leaves_nothing(
    films: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops_at: str
) -> None:
    """Ctrl-C at the second image, the second mask, the link or the sheet; afterwards the same command works."""
    from overread.workflow import sample as room

    project = _project(films, tmp_path / "p", names={"3": "disc"})
    run = project.train(epochs=1, name="first", overrides=SMALL)
    model, place, calls = next(run.path.glob("*.overread")), tmp_path / "place", list[object]()
    place.mkdir()
    write, allowed = getattr(room, stops_at), 1 if stops_at in ("write_picture", "write_mask") else 0

    def stopped(*words: object, **more: object) -> object:
        calls.append(words)
        if len(calls) > allowed:
            raise KeyboardInterrupt
        return write(*words, **more)

    with monkeypatch.context() as patch:
        patch.setattr(room, stops_at, stopped)
        with pytest.raises(KeyboardInterrupt):
            sample(model, place / "made", Wanted(along=films[1], steps=2))
    assert len(calls) == allowed + 1
    assert not list(place.iterdir())
    sample(model, place / "made", Wanted(along=films[1], steps=2))
    assert sorted(path.name for path in place.iterdir()) == ["made", "made-link.csv", "made-masks", "made-sheet.png"]


def test_codes_follow_masks_too(films: tuple[Path, Path], tmp_path: Path) -> None:
    own = {"training.architecture": "latent_diffusion", "training.network.autoencoder_features": "[8]", **SMALL}
    project = _project(films, tmp_path / "p")
    run = project.train(epochs=1, name="first", overrides=own)
    model = next(run.path.glob("*.overread"))
    assert sample(model, tmp_path / "made", Wanted(along=films[1], steps=2))["count"] == 30
    bad = tmp_path / "bad"
    bad.mkdir()
    PIL.Image.fromarray(np.full((16, 16), 7, np.uint8)).save(bad / "odd.png")
    with pytest.raises(OverreadError, match="odd: the mask holds the value 7, which nobody declared"):
        sample(model, tmp_path / "again", Wanted(along=bad))


REFUSED = [
    ({"task": "synthesize", "by_mask": True}, "--by-mask makes images along masks, and no masks were given"),
    ({"task": "synthesize", "by_mask": True, "by_class": True}, "by class or along masks; both were asked for"),
    ({"task": "segmentation", "by_mask": True}, "--by-mask belongs to --task synthesize, not to segmentation"),
    ({"by_mask": True}, "--by-mask belongs to --task synthesize, and no --task asks for it"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_what_does_not_fit_is_refused(films: tuple[Path, Path], tmp_path: Path, words: dict, message: str) -> None:
    with pytest.raises(OverreadError, match=message):
        overread.init(tmp_path / "p", images=films[0], **words)
    assert not (tmp_path / "p").exists()


def test_masks_without_the_word_are_refused(films: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(OverreadError, match=r"--truth was given(?s:.*)or say --by-mask"):
        overread.init(tmp_path / "p", images=films[0], truth=films[1], task="synthesize")


def test_made_images_are_judged_along_the_masks_of_tuning_cases(films: tuple[Path, Path], tmp_path: Path) -> None:
    from overread.workflow.fidelity import fidelity
    from overread.workflow.structures import structures

    project = _project(films, tmp_path / "p", names={"3": "disc"}, tuning=0.3)
    project.train(epochs=1, name="first", overrides=SMALL)
    record = fidelity(project, "first", count=16, minutes=0.02, steps=2)
    pictures = list((project.run("first").path / "fidelity").glob("*.png"))
    assert {path.name for path in pictures} == {"made.png", "nearest.png", "looks.png"}
    assert {read_raster_header(path).made for path in pictures} == {"synthetic"}
    assert record["along_masks_of_tuning_cases"] == len(project.cohort().of("tuning"))
    finder = overread.init(tmp_path / "s", images=films[0], truth=films[1], names={"3": "disc"})
    drawn = finder.train(epochs=1, name="first", overrides={"training.network.base_features": "4"})
    model = next(drawn.path.glob("*.overread"))
    found = structures(project, model, "first")
    assert found["along_masks"]
    assert found["refused"] == 0
    assert {row["case_id"] for row in found["cases"]} == {case.case_id for case in project.cohort().of("tuning")}
    assert found["rule"].startswith("An image was made along the mask of each case")
    kept = project.run("first").path / "structures.json"
    assert json.loads(kept.read_text())["by"] == found["by"]
    page = project.report(run_name="first").read_text(encoding="utf-8")
    assert '<h2 id="structures">Are masks followed?</h2>' in page
    assert "Structures in the mask and on the image made along it" in page
    assert "one program segmented it, and what it drew is compared with that mask" in page
    assert "true and on the answered image" not in page
    assert "Structures of the masks" in page
    assert "A made image shows nobody, so it has no truth" not in page
    kept.write_text(json.dumps({**found, "model": "sha256:of a later training"}))
    assert "Are masks followed?" not in project.report(run_name="first").read_text(encoding="utf-8")


def test_images_along_masks_are_made_in_portions_and_refusals_are_counted(
    films: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segmenter that refuses some images costs those cases alone; one that refuses all is said."""
    from overread.reading.making import ImageMaker
    from overread.workflow import structures as room
    from overread.workflow.generation import along

    project = _project(films, tmp_path / "p", names={"3": "disc"}, tuning=0.6, internal=0)
    project.train(epochs=1, name="first", overrides=SMALL)
    cases = [case.case_id for case in project.cohort().of("tuning")]
    portions: list[int] = []
    make = ImageMaker.make

    def counted(self, count, *words, **more):
        portions.append(count)
        return make(self, count, *words, **more)

    class Drawer:
        """Draws what is bright; every third image it refuses, or every one."""

        every, asked = 3, 0

        def prepare(self, image):
            self.asked += 1
            if self.asked % self.every == 0:
                raise Refused("units", "not this one", "give another")
            return image

        def answer(self, image) -> LabelMap:
            return LabelMap((image.array > 120).astype(np.uint8), (Structure("disc", 3),), image.grid)

    card = SimpleNamespace(
        sha256="sha256:toy",
        question=SimpleNamespace(classes=("disc",)),
        preparation=SimpleNamespace(channels=("image",), units="a.u."),
    )
    drawer = Drawer()
    monkeypatch.setattr(ImageMaker, "make", counted)
    monkeypatch.setattr(along, "AT_ONCE", 4)
    monkeypatch.setattr(room, "_segmenter", lambda path: SimpleNamespace(card=card, predictor=drawer))
    found = room.structures(project, tmp_path, "first", lesions=["disc"])
    assert portions == [4] * (len(cases) // 4) + [len(cases) % 4] * (len(cases) % 4 > 0)
    refused = cases[2::3]
    assert (found["refused"], list(found["refused_because"])) == (len(refused), refused)
    assert set(found["refused_because"].values()) == {"not this one"}
    assert [row["case_id"] for row in found["cases"]] == [name for name in cases if name not in refused]
    assert "of its voxels lie in the mask" in found["rule"]
    page = project.report(run_name="first").read_text(encoding="utf-8")
    assert f"of the tuning partition; {len(refused)} more were refused." in page
    drawer.every = 1
    with pytest.raises(OverreadError, match=rf"No made image could be compared; {len(cases)} were refused: not this one"):
        room.structures(project, tmp_path, "first")


def test_images_along_held_out_masks_do_not_train(films: tuple[Path, Path], tmp_path: Path) -> None:
    """From a maker to the project that its images should help, on one split: masks of training cases pass without a word."""
    maker = _project(films, tmp_path / "maker", names={"3": "disc"})
    run = maker.train(epochs=1, name="first", overrides=SMALL)
    model, cohort = next(run.path.glob("*.overread")), maker.cohort()
    name_of = {link.case_id: Path(link.files).stem for link in read_links(maker.path)}
    place = {name: cohort.partition[case_id] for case_id, name in name_of.items() if case_id in cohort.partition}
    splits = tmp_path / "splits.csv"
    splits.write_text("image,partition\n" + "".join(f"{name}.png,{part}\n" for name, part in place.items()))
    asked = overread.init(
        tmp_path / "asked", images=films[0], truth=films[1], task="segmentation", names={"3": "disc"}, splits=splits
    )

    def beside(part: str) -> MadeBeside:
        masks = tmp_path / f"masks-{part}"
        masks.mkdir()
        for name in [name for name, of in place.items() if of == part][:3]:
            shutil.copyfile(films[1] / f"{name}.png", masks / f"{name}.png")
        out = tmp_path / f"made-{part}"
        record = sample(model, out, Wanted(1, no_corner="they train a network", along=masks))
        assert record["trained_on"] == trained_on(asked.path, asked.cohort().partition, None)
        made = MadeImages(out, truth=tmp_path / f"made-{part}-masks", names={"3": "disc"})
        return made_beside(asked, asked.cohort(), made, None)

    found = beside("training")
    assert (len(found.cases), found.warnings) == (3, ())
    for part in ("tuning", "internal"):
        with pytest.raises(Refused, match="3 of 3 made images follow masks of cases that are held out"):
            beside(part)
