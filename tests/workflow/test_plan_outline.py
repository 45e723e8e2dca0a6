"""Before cases are prepared: a network that cannot be built is refused, and too few images for batch norms are told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from overread.core.errors import OverreadError
from overread.workflow import plan as planning
from overread.workflow.learning.outline import outline, small_batch_note
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.plan import Planned, plan
from overread.workflow.project import Project
from workflow.balls import film_project

FLOAT = {"training.precision": "float32"}


def row(name: str, dimensions: int = 2, serves: str = "image", **options: object) -> dict[str, object]:
    channels = {"in_channels": 1, "out_channels": 2}
    return {"name": name, **channels, "dimensions": dimensions, "serves": serves, "options": options}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return film_project(tmp_path_factory.mktemp("films"), "ball", positive="large")


@pytest.fixture(scope="module")
def made(films: Project) -> Planned:
    """A plan with batches of 4 of a network with batch norms."""
    overrides = {**FLOAT, "training.batch": "4", "training.architecture": "resnet10", "training.network": "{width=8}"}
    return plan(films, "few", overrides=overrides, preflight=False)


def test_few_images_for_batch_norms_are_told_with_what_to_set(made: Planned) -> None:
    note = made.plan.reasons["small_batch"]
    assert "resnet10 takes the mean and spread of its 12 batch normalisations from the 4 images of one step" in note
    assert "set training.network.norm=group, which looks at one image at a time, or training.batch=8 or more" in note
    assert read_plan(made.run.plan).reasons["small_batch"] == note
    assert made.plan.identity == replace(made.plan, reasons={}).identity
    enough = replace(made.plan, sampling=replace(made.plan.sampling, batch=8))
    assert small_batch_note(enough, outline(enough.network)) == ""
    group = replace(made.plan, network=row("resnet10", width=8, norm="group"))
    assert small_batch_note(group, outline(group.network)) == ""


def test_what_is_said_fits_the_network_and_its_weights(made: Planned) -> None:
    def note(network: dict[str, object], **changes: object) -> str:
        changed = replace(made.plan, network=network, **changes)
        return small_batch_note(changed, outline(network))

    resnet = row("resnet18", width=8)
    one = replace(made.plan.sampling, batch=1)
    assert "the 1 image of one step" in note(resnet, sampling=one)
    assert "norm=group" not in note(resnet, weights="hub")  # made with batch norms
    assert "norm=group" in note(resnet, weights="random")
    assert note(resnet, freeze="features") == ""
    assert "set training.batch=8" in note(resnet, weights="hub", freeze="features", unfreeze=0.5)
    assert note(row("unet", 3, "dense", patch=[32, 32, 32])) == ""  # instance norms
    unet = row("unet", 3, "dense", patch=[32, 32, 32], norm="batch")
    assert "training.network.norm=group" in note(unet)
    slices = row("slices_attention", 3, image_size=[8, 32, 32], encoder_options={"width": 8})
    volume = replace(made.plan.preparation, shape=(8, 32, 32))
    assert note(slices, preparation=volume) == ""  # 32 slices in a step
    slices["options"] = {**slices["options"], "chunk": 2}  # type: ignore[dict-item]
    few = note(slices, preparation=volume)
    assert "from the 2 images" in few
    assert "set training.network.encoder_options={norm='group'}, which" in few
    assert "set training.batch=8 or more" in note(row("torchvision:shufflenet_v2_x0_5"))


def test_a_wrong_network_stops_before_any_case_is_prepared(films: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "prepared", lambda *_: pytest.fail("cases were prepared"))

    def planned(**settings: str) -> None:
        plan(films, "wrong", overrides={**FLOAT, **{f"training.{k}": v for k, v in settings.items()}}, preflight=False)

    with pytest.raises(OverreadError, match=r'block 1, "conv 16": the list ends in 16 maps'):
        planned(architecture="composed", network="{blocks=['conv 16']}")
    with pytest.raises(OverreadError, match=r"resnet18 has no option 'wide'"):
        planned(architecture="resnet18", network="{wide=3}")
    with pytest.raises(OverreadError, match=r"at least 63 pixels"):
        planned(architecture="alexnet")
    with pytest.raises(OverreadError, match=r"resnet18 cannot be built with width = -3: .*negative") as refusal:
        planned(architecture="resnet18", network="{width=-3}")
    assert "[training.network]" in refusal.value.next
    with pytest.raises(OverreadError, match=r"timm:resnet18 does not take these options"):
        planned(architecture="timm:resnet18", network="{foo=3}")


def test_an_outline_takes_no_memory_and_no_random_number() -> None:
    before = torch.get_rng_state()
    network = outline(row("resnet101"))
    assert all(parameter.is_meta for parameter in network.parameters())
    assert not any(p.is_meta for p in outline(row("timm:resnet18")).parameters())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.every_row
def test_what_needs_values_is_built_as_it_is() -> None:
    """MONAI's, which takes seconds to import."""
    assert not any(p.is_meta for p in outline(row("swin_unetr", 2, "dense")).parameters())


def test_our_own_mistakes_show_themselves() -> None:
    with pytest.raises(RuntimeError, match="negative"):
        outline(row("resnet18", width=-3))
