"""Clinical values beside an image: how a row becomes numbers, and that nothing is ever done to them on their way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.batches.augment import Augmentation
from overread.batches.cache import PreparedCase
from overread.batches.clinical import absent, hidden, missing, told, with_clinical
from overread.batches.prepare import prepare_image
from overread.batches.sampler import Batches, Sampling, fixed_patches
from overread.core.clinical import Clinical, Variable
from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.preparation import Normalisation, Preparation

AGE = Variable("age", "number", mean=60.0, sd=10.0, low=20.0, high=90.0)
SEX = Variable("sex", "category", levels=("F", "M"))
BOTH = Clinical((AGE, SEX))
STRONG = Augmentation(rotation_degrees=90.0, scale=0.5, shift=0.3, elastic=2.0, chance=1.0, intensity=2.0, hide_clinical=0.0)


def test_a_row_becomes_numbers() -> None:
    assert told({"age": 75, "sex": "M"}, BOTH).tolist() == [1.5, 0, 0, 1, 0, 0]
    assert told({"Age": "75,0", "SEX": "f"}, BOTH).tolist() == [1.5, 0, 1, 0, 0, 0]  # as sheets write it
    assert told({"age": 60, "sex": "X"}, BOTH).tolist() == [0, 0, 0, 0, 1, 0]  # a word that training never held
    assert told({}, BOTH).tolist() == absent(BOTH).tolist() == [0, 1, 0, 0, 0, 1]
    assert told({"age": None, "sex": float("nan")}, BOTH).tolist() == absent(BOTH).tolist()
    assert missing({"age": "", "sex": "F"}, BOTH) == ("age",)


def test_text_in_a_column_of_numbers_is_refused() -> None:
    with pytest.raises(Refused, match=r"'age' is 'about 60'; a number was expected, as in training \(20 to 90\)") as refused:
        told({"age": "about 60"}, BOTH)
    assert refused.value.code == "clinical"
    assert "leave it out" in refused.value.next


def test_what_is_kept_survives_its_file() -> None:
    assert Clinical.from_dict(BOTH.as_dict()) == BOTH
    plain = Preparation(("image",), "a.u.", 2, None, (1, 8, 8), (1, 8, 8), True, (Normalisation("per-image"),))
    assert "clinical" not in plain.as_dict()  # so that plans, caches and models of before keep their names
    assert Preparation.from_dict(plain.as_dict()).clinical is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.floats(0, 120, width=32), min_size=4, max_size=4), st.sampled_from([2, 3]))
def test_no_augmentation_reaches_the_values(seed: int, ages: list[float], dimensions: int) -> None:
    shape = (1, 12, 12) if dimensions == 2 else (6, 8, 8)
    random = np.random.default_rng(seed)
    cases = [
        PreparedCase(
            str(k),
            random.normal(size=(1, *shape)).astype(np.float16),
            np.float32([k]),
            clinical=told({"age": age, "sex": "F"}, BOTH),
        )
        for k, age in enumerate(ages)
    ]
    batches = Batches(cases, shape, Sampling(4), STRONG, dimensions=dimensions, seed=seed, clinical=BOTH)
    images, targets = batches(seed % 7)
    assert isinstance(targets, torch.Tensor)
    assert images.shape == (4, 1 + BOTH.width, *shape[3 - dimensions :])
    for image, target in zip(images, targets, strict=True):
        values = cases[int(target)].clinical
        assert values is not None
        expected = torch.from_numpy(values).reshape(-1, *[1] * dimensions).expand_as(image[1:])
        assert torch.equal(image[1:], expected)


def test_the_picture_is_the_same_with_values_as_without() -> None:
    random = np.random.default_rng(0)
    films = [random.normal(size=(1, 1, 12, 12)).astype(np.float16) for _ in range(4)]
    plain = [PreparedCase(str(k), film, np.float32([k])) for k, film in enumerate(films)]
    told_too = [PreparedCase(str(k), film, np.float32([k]), clinical=absent(BOTH)) for k, film in enumerate(films)]
    without = Batches(plain, (1, 12, 12), Sampling(4), STRONG, dimensions=2, seed=3)(2)[0]
    beside = Batches(told_too, (1, 12, 12), Sampling(4), STRONG, dimensions=2, seed=3, clinical=BOTH)(2)[0]
    assert torch.equal(without, beside[:, :1])


def test_values_are_hidden_as_often_as_was_said() -> None:
    values = np.tile(told({"age": 80, "sex": "F"}, BOTH), (20_000, 1))
    shown = hidden(values, BOTH, 0.2, np.random.default_rng(1))
    no_age, no_sex = shown[:, 1] == 1, shown[:, 5] == 1
    assert np.isclose(no_age.mean(), 1 - 0.8**2, atol=0.01)  # by itself, or with all of the case
    assert np.isclose((no_age & no_sex).mean(), 0.2 + 0.8 * 0.2**2, atol=0.01)
    assert (shown[~no_age, 0] == 2).all()
    assert (shown[no_age, 0] == 0).all()
    assert hidden(values, BOTH, 0.0, np.random.default_rng(1)) is values


def test_tuning_images_carry_all_their_values() -> None:
    case = PreparedCase("a", np.zeros((1, 1, 8, 8), np.float16), np.float32([1]), clinical=told({"age": 70}, BOTH))
    images, _ = fixed_patches([case], (1, 8, 8), 2)
    assert images[0, :, 3, 3].tolist() == [0, 1, 0, 0, 0, 0, 1]


def test_preparation_tells_the_values_of_an_image() -> None:
    preparation = Preparation(("image",), "a.u.", 2, None, (1, 8, 8), (1, 8, 8), True, (Normalisation("per-image"),), BOTH)
    grid = Grid.from_spacing((1, 8, 8), (1.0, 1.0, 1.0), spacing_known=False, is_planar=True)
    image = Image(np.zeros((1, 1, 8, 8), np.float32), grid, clinical={"age": 50, "sex": "M"})
    prepared = prepare_image(image, preparation)
    assert prepared.clinical is not None
    assert prepared.clinical.tolist() == [-1, 0, 0, 1, 0, 0]
    assert prepared.array.shape == (1, 1, 8, 8)  # the picture stays a picture
    assert Preparation.from_dict(preparation.as_dict()) == preparation


def test_images_without_values_stay_what_they_are() -> None:
    images = torch.zeros(2, 1, 4, 4)
    assert with_clinical(images, None) is images
