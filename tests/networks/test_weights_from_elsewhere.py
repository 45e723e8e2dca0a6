"""Weights of twins, of 2D networks, of other heads and of bundles: answers are those of the network they came from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from overread.core.errors import OverreadError
from overread.networks import build
from overread.networks.libraries.bundle import is_bundle, read_bundle
from overread.networks.weights import adapt_channels, inflate, load_tensors
from overread.networks.weights.fitting import HEAD_LEFT
from overread.networks.weights.published import TWINS, load_published


def image_network(name: str, *, channels: int = 3, outputs: int = 4, dimensions: int = 2, **options: object) -> nn.Module:
    question = {"in_channels": channels, "out_channels": outputs, "dimensions": dimensions}
    return build(name, **question, serves="image", options=options)


def lively(network: nn.Module) -> nn.Module:
    """Statistics and scales that are not those of a fresh network, so that a tensor in a wrong place shows."""
    torch.manual_seed(1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                for tensor, low, high in ((module.running_mean, -0.2, 0.2), (module.running_var, 0.5, 1.5)):
                    assert isinstance(tensor, Tensor)
                    tensor.uniform_(low, high)
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.2, 0.2)
    return network.eval()


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", pytest.param("densenet121", marks=pytest.mark.every_row), "mobilenet_v2"]
)
def test_a_twin_with_torchvisions_tensors_answers_as_torchvisions(name: str) -> None:
    theirs = lively(models.get_model(name, weights=None, num_classes=4))
    ours = image_network(name).eval()
    loaded = load_tensors(ours, theirs.state_dict(), "theirs.pt")
    assert not loaded.random
    assert not loaded.unused
    assert loaded.how
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=1e-4)


def test_published_weights_leave_the_head_to_be_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = models.get_model("resnet18", weights=None).state_dict()

    class Entry:
        DEFAULT = type("Weights", (), {"get_state_dict": staticmethod(lambda progress: theirs)})

    monkeypatch.setattr(models, "get_model_weights", lambda name: Entry)
    network = image_network("resnet18", channels=1, outputs=2)
    loaded = load_published(network, "resnet18")
    assert set(loaded.random) == {"head.weight", "head.bias"}
    assert loaded.adapted == ("stem.0.weight",)
    assert "ImageNet" in loaded.licence

    def offline(name: str) -> object:
        raise OSError("no route to host")

    monkeypatch.setattr(models, "get_model_weights", offline)
    with pytest.raises(OverreadError, match=r"published weights of resnet18 could not be loaded: no route(?s:.*)as a file"):
        load_published(network, "resnet18")


def test_every_twin_exists_in_torchvision() -> None:
    assert set(TWINS.values()) <= set(models.list_models(module=models))


def test_an_inflated_network_answers_alike_to_a_volume_that_is_constant_along_z() -> None:
    """With borders that go round, as zeros around a volume are no constant."""
    flat = lively(image_network("resnet10", channels=1, width=8))
    deep = image_network("resnet10", channels=1, dimensions=3, width=8).eval()
    loaded = load_tensors(deep, flat.state_dict(), "flat.pt")
    kernels = sum(tensor.ndim == 5 for tensor in deep.state_dict().values())
    assert len(loaded.inflated) == kernels
    assert not loaded.random
    for network in (flat, deep):
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                module.padding_mode = "circular"
    images = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        volume = images[:, :, None].expand(-1, -1, 64, -1, -1)
        torch.testing.assert_close(deep(volume), flat(images), atol=1e-4, rtol=1e-3)


def test_a_transposed_kernel_is_repeated_as_it_is() -> None:
    flat, deep = nn.ConvTranspose2d(2, 3, 2, 2), nn.ConvTranspose3d(2, 3, 2, 2)
    load_tensors(nn.ModuleDict({"up": deep}), {f"up.{k}": v for k, v in flat.state_dict().items()}, "flat.pt")
    images = torch.randn(1, 2, 4, 4)
    wide = deep(images[:, :, None].expand(-1, -1, 3, -1, -1))
    torch.testing.assert_close(wide, flat(images)[:, :, None].expand(-1, -1, 6, -1, -1), atol=1e-6, rtol=1e-5)


def test_channels_and_depth_change_together() -> None:
    weight = torch.randn(4, 3, 3, 3)
    both = inflate(adapt_channels(weight, 5), 3)
    assert both.shape == (4, 5, 3, 3, 3)
    torch.testing.assert_close(both.sum((1, 2)), weight.sum(1), atol=1e-5, rtol=1e-4)
    deep = image_network("resnet10", channels=5, dimensions=3, width=8)
    loaded = load_tensors(deep, image_network("resnet10", width=8).state_dict(), "flat.pt")
    assert "stem.0.weight" in loaded.inflated
    assert "stem.0.weight" not in loaded.random


def test_a_classifier_fills_the_encoder_around_it() -> None:
    """Names differ by one word in front: an adapter's "inner.", or a network that holds another one."""
    first = image_network("resnet10", channels=1, width=8)
    outer = nn.ModuleDict({"encoder": image_network("resnet10", channels=1, outputs=7, width=8), "more": nn.Linear(3, 3)})
    loaded = load_tensors(outer, first.state_dict(), "first.pt")
    assert torch.equal(outer["encoder"].stem[0].weight, first.stem[0].weight)  # type: ignore[union-attr, index]
    assert "encoder.head.weight" in loaded.random
    back = load_tensors(image_network("resnet10", channels=1, outputs=7, width=8), outer.state_dict(), "outer.pt")
    assert not back.random


def test_one_encoder_goes_into_another_by_the_order_of_its_blocks() -> None:
    """A classifier of U-Net blocks under names of its own: its blocks are found by kind and shape, from the entry on."""
    dense = build("unet", in_channels=1, out_channels=2, dimensions=2, serves="dense", options={"base_features": 8})
    encoder = {f"blocks.{k}": tensor for k, tensor in _renumbered(dense).items()}
    other = build("unet", in_channels=1, out_channels=2, dimensions=2, serves="dense", options={"base_features": 8})
    loaded = load_tensors(other, encoder, "classifier.pt")
    assert loaded.how == "by order and shape"
    taken = [name for name in other.state_dict() if name not in loaded.random]
    assert all(name.startswith("encoder.") for name in taken)
    for name in taken:
        assert torch.equal(other.state_dict()[name], dense.state_dict()[name])


def _renumbered(dense: nn.Module) -> dict[str, Tensor]:
    """The tensors of an encoder, named by a number for each layer: "7.weight"."""
    layers: dict[str, int] = {}
    found = {}
    for name, tensor in dense.state_dict().items():
        if name.startswith("encoder."):
            layer, _, kind = name.rpartition(".")
            found[f"{layers.setdefault(layer, len(layers))}.{kind}"] = tensor
    return found


def test_another_questions_head_stays_random() -> None:
    first, second = image_network("resnet10", width=8), image_network("resnet10", width=8)
    before = second.head.weight.clone()  # type: ignore[union-attr, operator]
    loaded = load_tensors(second, first.state_dict(), "other.overread", without={"head.weight", "head.bias"})
    assert loaded.random == {"head.weight": HEAD_LEFT, "head.bias": HEAD_LEFT}
    assert torch.equal(second.head.weight, before)  # type: ignore[union-attr, arg-type]


# ---------------------------------------------------------------- MONAI bundles

NETWORK = {"_target_": "UNet", "spatial_dims": "@axes", "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2]}


def bundle(folder: Path, **changes: object) -> Path:
    """A bundle as MONAI lays one out."""
    from monai.networks import nets

    torch.manual_seed(0)
    network = nets.UNet(3, 1, 2, [4, 8], [2])
    for part in ("configs", "models"):
        (folder / part).mkdir(parents=True)
    config = {"axes": 3, "device": "$torch.device('cpu')", "network_def": {**NETWORK, **changes}}
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    (folder / "configs" / "metadata.json").write_text(json.dumps({"license": "CC BY 4.0"}))
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return folder


def test_a_bundle_gives_its_network_and_its_tensors(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "spleen")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "spleen"))
    assert is_bundle(folder)
    for place in (folder, packed):
        found = read_bundle(place)
        assert (found.network, found.dimensions, found.serves, found.licence) == ("monai:UNet", 3, "dense", "CC BY 4.0")
        assert found.options == {"channels": [4, 8], "strides": [2], "num_res_units": 0}, "as MONAI takes it, not as our table"
        network = build("monai:UNet", in_channels=1, out_channels=2, dimensions=3, serves="dense", options=dict(found.options))
        assert not load_tensors(network, found.tensors, place.name).random
    assert not is_bundle(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_target_": "my_code.Network"}, "wants to build 'my_code.Network', which is no network of our table"),
        ({"_target_": "os.system"}, "nothing else is run from a bundle"),
        ({"_target_": "subprocess.UNet"}, "wants to build 'subprocess.UNet'"),
        ({"channels": "$[4, 8]"}, r"network_def.channels of the bundle spleen is an expression to be run"),
        ({"act": {"_target_": "torch.nn.ReLU"}}, "network_def.act of the bundle spleen is an expression"),
        ({"strides": "@nowhere"}, "refers to @nowhere"),
    ],
)
def test_nothing_of_a_bundle_is_run(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(OverreadError, match=message):
        read_bundle(bundle(tmp_path / "spleen", **changes))


def test_a_pickle_in_a_bundle_is_refused(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "spleen")
    torch.save(nn.Linear(2, 2), folder / "models" / "model.pt")
    with pytest.raises(OverreadError, match="holds Python objects beside tensors"):
        read_bundle(folder)
    (folder / "models" / "model.pt").unlink()
    with pytest.raises(OverreadError, match=r"the bundle spleen has no models/model\.pt"):
        read_bundle(folder)
