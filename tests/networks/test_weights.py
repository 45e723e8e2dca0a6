"""Weights from files: what is loaded, what stays random, what is refused."""

import pytest
import torch
from safetensors.torch import save_file

from overread.core.errors import OverreadError
from overread.networks import build
from overread.networks.memory import keep_freed_memory
from overread.networks.weights import adapt_channels, load_weights, read_weights


def resnet(in_channels=1, out_channels=2, weights="random", name="resnet10"):
    options = {"width": 8} if name == "resnet10" else {}
    return build(
        name, in_channels=in_channels, out_channels=out_channels, dimensions=2, serves="image", options=options, weights=weights
    )


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_come_back_the_same(tmp_path, suffix):
    first, path = resnet(), tmp_path / f"weights{suffix}"
    state = first.state_dict()
    save_file(state, path) if suffix == ".safetensors" else torch.save(
        {"state_dict": {f"module.{k}": v for k, v in state.items()}}, path
    )
    second = resnet(weights=path)
    images = torch.randn(2, 1, 32, 32)
    assert torch.equal(first.eval()(images), second.eval()(images))
    assert second.weights_loaded.random == {}
    assert len(second.weights_loaded.loaded) == len(state)


def test_another_head_and_other_channels_are_reported(tmp_path):
    first, path = resnet(in_channels=3, out_channels=5), tmp_path / "three.safetensors"
    save_file(first.state_dict(), path)
    loaded = load_weights(second := resnet(), path)
    assert loaded.adapted == ("stem.0.weight",)
    assert loaded.random["head.weight"] == "(5, 64) in the file, (2, 64) here"
    assert "2 stayed random" in str(loaded)
    grey = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(
        second.eval().features(grey), first.eval().features(grey.expand(-1, 3, -1, -1)), atol=1e-5, rtol=1e-4
    )


def test_a_library_file_goes_into_the_adapted_network(tmp_path):
    first, path = resnet(name="torchvision:resnet18"), tmp_path / "library.pt"
    torch.save(first.inner.state_dict(), path)
    second = resnet(name="torchvision:resnet18", weights=path)
    images = torch.randn(2, 1, 32, 32)
    assert torch.equal(first.eval()(images), second.eval()(images))


def test_adapted_channels_answer_alike_to_repeated_channels():
    weight = torch.randn(4, 3, 3, 3)
    grey = torch.randn(1, 1, 8, 8)
    for channels in (1, 2, 5):
        ours = torch.nn.functional.conv2d(grey.expand(-1, channels, -1, -1), adapt_channels(weight, channels))
        torch.testing.assert_close(ours, torch.nn.functional.conv2d(grey.expand(-1, 3, -1, -1), weight), atol=1e-4, rtol=1e-4)


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(OverreadError, match="there is no file of weights"):
        read_weights(tmp_path / "none.pt")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\x00\x01")
    with pytest.raises(OverreadError, match=r"damaged\.safetensors is not a readable file of weights"):
        read_weights(damaged)
    objects = tmp_path / "objects.pt"
    torch.save(torch.nn.Linear(2, 2), objects)
    with pytest.raises(OverreadError, match="holds Python objects beside tensors"):
        read_weights(objects)
    numbers = tmp_path / "numbers.pt"
    torch.save({"epoch": 3}, numbers)
    with pytest.raises(OverreadError, match="holds no named tensors"):
        read_weights(numbers)
    strange = tmp_path / "strange.safetensors"
    save_file({"something": torch.zeros(2)}, strange)
    with pytest.raises(OverreadError, match=r"nothing in strange\.safetensors fits this network: it holds something"):
        load_weights(resnet(), strange)


def test_the_process_can_be_told_to_keep_memory():
    assert keep_freed_memory() in (True, False)  # glibc can, other C libraries cannot
    assert torch.ones(4_000_000).sum() == 4_000_000
