"""`overread networks` shows networks whose answer is an image with all their parts."""

from __future__ import annotations

import pytest

from overread.core.errors import OverreadError
from overread.networks.generative.rows import ROWS
from overread.workflow.networks import compare_networks, list_networks, show_network
from overread.workflow.networks_shown.asked import Asked, built

NARROW = {
    "pix2pix": {"base_features": 4, "critic_features": 4},
    "cycle_gan": {"base_features": 4, "blocks": 1, "critic_features": 4},
    "latent_diffusion": {"autoencoder_features": (4,), "features": (4, 8), "blocks": 1},
}


def asked(name: str, dimensions: int, **more: object) -> Asked:
    row = next(row for row in ROWS if row.name == name)
    options = NARROW.get(name) or ({"features": (4, 8)} if "features" in row.options else {})
    return Asked(name, size=(16,) * dimensions, options=options, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_every_row_is_shown_whole(name: str, dimensions: int) -> None:
    facts = show_network(asked(name, dimensions))
    assert facts["input"] == [1, *(16,) * dimensions]
    assert facts["parameters"] == sum(row["parameters"] for row in facts["layers"]["rows"])
    assert facts["structure"]["blocks"]
    assert facts["macs"] > 0


def test_channels_and_classes_of_makers() -> None:
    plain, coloured = built(asked("dcgan", 2)), built(asked("dcgan", 2, channels=3, classes=4))
    assert plain.network.classes == 0
    assert coloured.network.classes == 4
    assert coloured.network.image_shape == coloured.shape == (3, 16, 16)
    assert built(asked("autoencoder", 2, channels=3)).classes == 3


def test_they_are_listed_and_compared() -> None:
    assert {row["name"] for row in list_networks("made")["networks"]} == {
        "dcgan", "wasserstein_gan", "diffusion_unet", "latent_diffusion",
    }  # fmt: skip
    names = ("cycle_gan", "dcgan")
    found = compare_networks([asked(name, 2) for name in names], repeats=1)["networks"]
    assert all(one["speed"]["step"] > 0 and one["memory"]["fits"] for one in found)
    assert {one["serves"] for one in found} == {"pictures", "made"}


def test_an_unknown_option_of_a_maker_is_refused() -> None:
    with pytest.raises(OverreadError, match="dcgan has no option 'classes'"):
        built(Asked("dcgan", size=(16, 16), options={"classes": 2}))
