"""A network that erases lesions is caught, one that invents them too, and a faithful one is left in peace."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure
from overread.evaluation.pictures.structures import pairs_in, structure_check
from overread.evaluation.rules import Rules
from overread.imaging.nifti import write_nifti
from overread.metrics.pictures.lesions import lesions

GRID = Grid.from_spacing((4, 32, 32), (2.0, 1.0, 1.0))
NAMES = (Structure("organ", 1), Structure("lesion", 2))
RULES = Rules(resamples=200)
PLACES = [(8, 8), (8, 20), (20, 8), (20, 20)]


@dataclass(frozen=True)
class MasksInMemory:
    """The masks that one program drew on the true and on the made image of a case, on one grid."""

    case_id: str
    patient_id: str
    of_truth: LabelMap
    of_made: LabelMap

    def load(self) -> tuple[LabelMap, LabelMap]:
        return self.of_truth, self.of_made


def drawn(places: list[tuple[int, int]]) -> LabelMap:
    """An organ with lesions of 3 x 3 x 2 voxels."""
    layer = np.zeros(GRID.shape, np.uint8)
    layer[:, 4:28, 4:28] = 1
    for y, x in places:
        layer[1:3, y : y + 3, x : x + 3] = 2
    return LabelMap(layer[None], NAMES, GRID)


def pairs(made: list[list[tuple[int, int]]]) -> list[MasksInMemory]:
    return [MasksInMemory(f"C-{k}", f"P-{k // 2}", drawn(PLACES[: 1 + k % 4]), drawn(one)) for k, one in enumerate(made)]


def check(made: list[list[tuple[int, int]]]) -> tuple[dict, dict]:
    found = structure_check(pairs(made), ("organ", "lesion"), RULES, lesions=("lesion",))
    json.dumps(found, allow_nan=False)
    return found, {(row["metric"], row["subject"]): row["interval"] for row in found["scores"]}


def test_an_eraser_is_caught() -> None:
    found, scores = check([PLACES[1 : 1 + k % 4] for k in range(16)])  # the first lesion of every case is gone
    erased = scores["erased", "lesion"]
    assert erased["estimate"] == pytest.approx(16 / 40)
    assert erased["low"] > 0.2
    assert erased["n_patients"] == 8
    assert scores["erased_volume", "lesion"]["estimate"] == pytest.approx(16 / 40)
    assert scores["invented", "lesion"]["estimate"] == 0
    assert scores["dice", "organ"]["estimate"] > 0.98  # and yet the organ, and with it most of the image, is as it was
    assert scores["volume_error_percent", "lesion"]["high"] < 0
    assert found["sentences"][0].startswith("lesion: 16 of 40 erased (40 %, ")
    assert found["cases"][0]["lesions"]["lesion"] == {"true": 1, "made": 0, "erased": 1, "invented": 0}


def test_an_inventor_is_caught() -> None:
    _, scores = check([[*PLACES[: 1 + k % 4], (26 - 12, 14)] for k in range(16)])
    assert scores["invented", "lesion"]["estimate"] == pytest.approx(16 / 56)
    assert scores["invented_per_case", "lesion"]["estimate"] == 1.0
    assert scores["invented_volume", "lesion"]["estimate"] == pytest.approx(16 / 56)
    assert scores["erased", "lesion"]["estimate"] == 0


def test_a_faithful_image_is_left_in_peace() -> None:
    found, scores = check([[(y + 1, x) for y, x in PLACES[: 1 + k % 4]] for k in range(16)])  # a shift of a voxel
    assert scores["erased", "lesion"]["estimate"] == scores["invented", "lesion"]["estimate"] == 0
    assert scores["erased", "lesion"]["high"] < 0.5  # of 8 patients no more can be said
    assert "0 of 40 erased" in found["sentences"][0]


def test_no_lesion_anywhere_is_not_zero() -> None:
    empty = [MasksInMemory(f"C-{k}", f"P-{k}", drawn([]), drawn([])) for k in range(6)]
    found = structure_check(empty, ("lesion",), RULES, lesions=("lesion",))
    reasons = {row["metric"]: row["interval"]["reason"] for row in found["scores"]}
    assert reasons["erased"] == "no lesion was drawn on a true image"
    assert reasons["invented_volume"] == "no lesion was drawn on a made image"
    assert reasons["dice"] == "empty in truth and answer"


def test_masks_come_from_two_folders(tmp_path) -> None:
    for k in range(5):
        write_nifti(tmp_path / "true" / f"C-{k}.nii.gz", drawn(PLACES).layers[0], GRID)
        write_nifti(tmp_path / "made" / f"C-{k}.nii.gz", drawn(PLACES[1:]).layers[0], GRID)
    found, names = pairs_in(tmp_path / "true", tmp_path / "made", {"organ": 1, "lesion": 2})
    scores = structure_check(found, names, RULES, lesions=("lesion",))["scores"]
    assert next(row["interval"]["estimate"] for row in scores if row["metric"] == "erased") == 0.25
    (tmp_path / "made" / "C-3.nii.gz").unlink()
    with pytest.raises(OverreadError, match="C-3"):
        pairs_in(tmp_path / "true", tmp_path / "made")


def test_faults_are_named() -> None:
    with pytest.raises(OverreadError, match="'tumour' is no structure"):
        structure_check(pairs([[]]), ("organ",), RULES, lesions=("tumour",))
    with pytest.raises(OverreadError, match="no case with masks on both images"):
        structure_check([], ("organ",), RULES)


@given(st.integers(0, 5000))
@settings(max_examples=40)
def test_exchanging_the_images_exchanges_erased_and_invented(seed) -> None:
    random = np.random.default_rng(seed)
    truth, made = (random.random((2, 9, 9)) < 0.12 for _ in range(2))
    forth, back = lesions(truth, made), lesions(made, truth)
    assert np.array_equal(forth.erased, back.invented)
    assert np.array_equal(forth.kept, back.backed)
    assert forth.of_truth.sum() == truth.sum()
    assert not lesions(truth, truth).erased.any()
