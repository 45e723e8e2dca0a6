"""Costs, memory and advice of networks; the network of a run as it was trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from overread.core.errors import OverreadError
from overread.workflow.networks import compare_networks, show_network
from overread.workflow.networks_shown import facts
from overread.workflow.networks_shown.asked import Asked, built
from overread.workflow.networks_shown.speed import measured


def test_a_network_that_would_never_fit_is_shown_and_takes_no_memory() -> None:
    found = built(Asked("vgg19", size=(64, 64), options={"width": 4096}))
    assert next(found.network.parameters()).is_meta
    assert facts.training_memory(found, 2)["advice"] == "its weights alone do not fit: take a smaller network"


def test_what_does_not_fit_gets_a_smaller_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    made = built(Asked("unet", size=(32, 32), options={"base_features": 4}))
    whole = facts.training_memory(made, 64)
    assert whole["fits"]
    for share, word in ((0.6, "set training.batch="), (0.0, "not one image fits")):
        one = facts.training_memory(made, 1)["step_gib"]
        monkeypatch.setattr(
            facts, "free_memory_gib", lambda _device, share=share, one=one: max(share * whole["step_gib"], 0.99 * one)
        )
        found = facts.training_memory(made, 64)
        assert not found["fits"]
        assert word in found["advice"]
        if share:
            assert facts.training_memory(made, found["largest_batch"])["fits"]


def test_one_network_in_two_dimensions_and_with_options() -> None:
    plane, volume = (show_network(Asked("unet", dimensions=n, size=(16,) * n, options={"base_features": 4})) for n in (2, 3))
    assert (plane["dimensions"], volume["dimensions"]) == (2, 3)
    assert plane["options"]["base_features"] == 4
    assert plane["defaults"]["base_features"] == 32
    assert plane["parameters"] < volume["parameters"]
    assert plane["macs"] == sum(row["macs"] for row in plane["layers"]["rows"]) + plane["layers"]["macs_elsewhere"]


def test_networks_of_objects_are_timed_with_an_object() -> None:
    made = built(Asked("centre_detector", size=(32, 32), options={"base_features": 4}), has_values=True)
    found = measured(made.network, made.shape, repeats=1)
    assert found["forward"] > 0
    assert found["step"] > 0


def test_the_same_network_twice_is_told_apart() -> None:
    tiny = Asked("resnet10", size=(16, 16), options={"width": 2})
    wide = Asked("resnet10", size=(16, 16), options={"width": 4})
    found = compare_networks([tiny, wide], repeats=0)["networks"]
    assert [one["name"] for one in found] == ["resnet10 (1)", "resnet10 (2)"]
    assert "speed" not in found[0]


def test_a_drawing_is_no_picture() -> None:
    with pytest.raises(OverreadError, match=r"an \.svg file, a page an \.html file"):
        show_network(Asked("resnet10"), Path("x.pdf"))
