"""Frozen stages keep what they have to the last bit, thaw in time, resume as if never stopped; each stage has its rate."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from overread.batches.augment import Augmentation
from overread.batches.sampler import Batches, Sampling
from overread.core.errors import OverreadError
from overread.networks import build
from overread.networks.fusion.fused import Fused
from overread.record.events import EventLog, read_events
from overread.training.clock import Clock
from overread.training.freezing import Freezing, Frozen, check_freezing, refuse_frozen_noise, shares_of, table_of_stages
from overread.training.loop import Looked, Recipe, train
from overread.training.optimizers import optimizer, set_rate
from overread.training.stages import stages_of
from toys import SHAPES, question, toy_cases, toy_task
from training.test_loop import StopAfter

ASKED = question("classification")
EPOCHS, STEPS = 4, 3


def resnet() -> nn.Module:
    torch.manual_seed(0)
    options = {"width": 8, "image_size": [32, 32]}
    return build("resnet10", in_channels=1, out_channels=2, dimensions=2, serves="image", options=options)


def recipe(freezing: Freezing, **changes: object) -> Recipe:
    values = {"optimizer": "adamw", "schedule": "constant", "learning_rate": 3e-3, "weight_decay": 1e-2, "warmup_steps": 0}
    values |= {
        "steps_per_epoch": STEPS,
        "gradient_clip": 12.0,
        "ema": 0.0,
        "precision": "float32",
        "channels_last": True,
        "seed": 0,
    }
    return Recipe(**(values | changes), freezing=freezing)  # type: ignore[arg-type]


def run(folder, freezing, *, resume=False, stop=None, **changes):
    return train(
        toy_task(ASKED),
        resnet(),
        Batches(toy_cases(ASKED, 2), SHAPES[2], Sampling(4), Augmentation(), seed=3, dimensions=2),
        recipe(freezing, **changes),
        Clock(STEPS, epochs=EPOCHS),
        validate=lambda network, *, final: Looked(None, {"sum": float(sum(p.sum() for p in network.parameters()))}),
        events=EventLog(folder / "events.jsonl"),
        checkpoint=folder / "checkpoint.safetensors",
        identity="plan",
        resume=resume,
        stop=stop,
    )


def moved(before: nn.Module, after: nn.Module) -> dict[str, bool]:
    """Stage -> whether any of its tensors changed, statistics too."""
    first, last = before.state_dict(), after.state_dict()
    changed = {name: not torch.equal(first[name], last[name]) for name in first}
    return {s.name: any(changed[name] for name in first if s.holds(name)) for s in stages_of(before)}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_frozen_stages_do_not_move_and_the_others_do(tmp_path, name, precision):
    outcome = run(tmp_path, Freezing("2"), optimizer=name, precision=precision)
    found = moved(resnet(), outcome.network)
    assert found == {"stem": False, "stages.0": False, "stages.1": True, "stages.2": True, "stages.3": True, "head": True}


def test_stages_thaw_one_by_one_from_the_head_down(tmp_path):
    outcome = run(tmp_path, Freezing("features", unfreeze=0.25))
    told = [(e["step"], e["stages"]) for e in read_events(tmp_path / "events.jsonl") if e["event"] == "unfroze"]
    assert [stages for _, stages in told] == [["stages.3"], ["stages.2"], ["stages.1"], ["stages.0"], ["stem"]]
    steps = EPOCHS * STEPS
    assert [step for step, _ in told] == [-(-(5 + 3 * k) * steps // 20) for k in range(5)], "a quarter, then evenly over the rest"
    assert all(moved(resnet(), outcome.network).values())


@pytest.mark.parametrize("stopped_after", [6])
def test_a_stopped_run_thaws_as_one_that_ran_through(tmp_path, stopped_after):
    rules = Freezing("features", unfreeze=0.3, layer_decay=0.7)
    through, parts = tmp_path / "through", tmp_path / "parts"
    for folder in (through, parts):
        folder.mkdir()
    whole = run(through, rules)
    run(parts, rules, stop=StopAfter(stopped_after))
    again = run(parts, rules, resume=True)
    for left, right in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-7)
    unfroze = [
        [(e["step"], e["stages"]) for e in read_events(place / "events.jsonl") if e["event"] == "unfroze"]
        for place in (through, parts)
    ]
    assert unfroze[0] == unfroze[1]


@pytest.mark.parametrize("name", ["adamw", "sgd", "muon"])
def test_each_stage_is_taught_at_its_share_of_the_rate(name):
    network, rules = resnet(), Freezing(layer_decay=0.5)
    shares = shares_of(network, rules)
    assert shares is not None
    made = optimizer(name, network, 1.0, 0.0, shares=shares)
    set_rate([made], 0.64)
    rate_of = {id(p): group["lr"] for group in made.param_groups for p in group["params"]}
    stages = stages_of(network)
    for parameter_name, parameter in network.named_parameters():
        place = next(k for k, stage in enumerate(stages) if stage.holds(parameter_name))
        assert rate_of[id(parameter)] == pytest.approx(0.64 * 0.5 ** (len(stages) - 1 - place))
    assert len(rate_of) == len(list(network.parameters()))


def test_without_a_decay_groups_are_as_they_were():
    network = resnet()
    assert shares_of(network, Freezing()) is None
    assert len(optimizer("adamw", network, 1e-3, 1e-2).param_groups) == 2


def test_a_network_that_was_told_to_leave_a_weight_alone_goes_on_doing_so():
    network = resnet()
    network.stem[0].weight.requires_grad_(False)
    frozen = Frozen(network, Freezing("1", unfreeze=0.5))
    frozen.thaw(0.6)
    assert not frozen.held
    assert not network.stem[0].weight.requires_grad
    assert network.stem[1].weight.requires_grad


def test_the_table_says_what_each_stage_was_given():
    network = resnet()
    states = dict.fromkeys((name for name, _ in network.named_parameters()), "loaded") | {"head.weight": "random"}
    rows = table_of_stages(network, Freezing("1", layer_decay=0.5), states)
    assert rows[0] == {
        "stage": "stem", "weights": 88, "loaded": 3, "adapted": 0, "inflated": 0, "random": 0, "rate": 0.0312, "frozen": "yes"
    }  # fmt: skip
    assert (rows[-1]["stage"], rows[-1]["random"], rows[-1]["frozen"]) == ("head", 1, "no")
    refuse_frozen_noise(rows)
    with pytest.raises(OverreadError, match=r"would stay random: stem \(3 tensors\)(?s:.*)freeze fewer stages"):
        refuse_frozen_noise(table_of_stages(network, Freezing("1"), {}))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("some", 0.0, 1.0, "hub"), r'freeze = "some" is none of "none", "features" and a number'),
        (("0", 0.0, 1.0, "hub"), r'freeze = "0" is none of'),
        (("features", 0.0, 1.0, "random"), r"would keep random weights as they are(?s:.*)run:pretrained"),
        (("features", 1.0, 1.0, "hub"), "unfreeze = 1 is no share of the budget"),
        (("none", 0.3, 1.0, "hub"), "unfreeze = 0.3, and nothing is frozen"),
        (("none", 0.0, 0.0, "hub"), "layer_decay = 0 is no share of a rate"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(given, message):
    with pytest.raises(OverreadError, match=message):
        check_freezing(*given)


def test_more_stages_than_there_are_cannot_be_frozen():
    with pytest.raises(OverreadError, match=r'freeze = "9": this network has 5 stages before its head \(stem, stages.0'):
        Frozen(resnet(), Freezing("9"))


STAGES = {
    ("unet", 2, "dense"): ["encoder.0", "encoder.1", "encoder.2", "encoder.3", "decoder.0", "decoder.1", "decoder.2", "heads"],
    ("resnet18", 2, "image"): ["stem", "stages.0-1", "stages.2-3", "stages.4-5", "stages.6-7", "head"],
    ("torchvision:resnet18", 2, "image"): ["conv1 to bn1", "layer1", "layer2", "layer3", "layer4", "fc"],
    ("centre_detector", 2, "objects"): ["encoder.0", "encoder.1", "encoder.2", "encoder.3", "decoder.0", "head"],
}


@pytest.mark.parametrize(("asked", "expected"), STAGES.items())
def test_the_stages_of_a_network_hold_every_weight_once(asked, expected):
    name, dimensions, serves = asked
    network = build(name, in_channels=1, out_channels=2, dimensions=dimensions, serves=serves)
    found = stages_of(network)
    assert [stage.name for stage in found] == expected
    assert [stage.is_head for stage in found] == [False] * (len(found) - 1) + [True]
    for parameter, _ in network.named_parameters():
        assert sum(stage.holds(parameter) for stage in found) == 1, parameter


def test_shared_parts_and_loose_tokens_have_their_place():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(3))
            self.first, self.second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
            self.again, self.last = self.first, nn.Linear(4, 2)

        def forward(self, images: Tensor) -> Tensor:
            return self.last(self.second(self.first(images)).mean((2, 3)))

    assert [stage.name for stage in stages_of(Odd())] == ["first", "second", "last"]
    assert stages_of(Odd())[0].holds("token")


def test_a_network_around_another_has_its_features_there_and_its_head_outside():
    inner = build("resnet10", in_channels=1, out_channels=8, dimensions=2, serves="image", options={"width": 8})
    found = stages_of(Fused(inner, 1, 3, 2, 2, summary=8))
    assert [stage.name for stage in found] == ["stem", "stages.0", "stages.1", "stages.2", "stages.3", "head"]
    assert set(found[-1].prefixes) == {"inner.head", "told", "head"}
    for name in ("fcn", "segnet", "deeplab_v3_plus"):
        names = [stage.name for stage in stages_of(build(name, in_channels=1, out_channels=2, dimensions=2, serves="dense"))]
        assert len(set(names)) == len(names)
        assert names[0].startswith("encoder.")
