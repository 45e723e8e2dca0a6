"""The table of networks: its oldest rows, networks of other libraries by name, and what is refused."""

import pytest
import torch

from overread.core.errors import OverreadError
from overread.networks import ARCHITECTURES, build

pytestmark = pytest.mark.usefixtures("as_in_training")

OLDEST = {"unet": "dense", "residual_unet": "dense", "resnet10": "image", "resnet50": "image"}  # others are tested by family
ROWS = [(name, axes, kind) for name, kind in OLDEST.items() for axes in (2, 3)]
SMALL = {"dense": {"base_features": 4, "patch": None}, "image": {"width": 8, "image_size": (32, 32)}}


def make(name, axes, kind, **options):
    torch.manual_seed(0)
    return build(name, in_channels=2, out_channels=3, dimensions=axes, serves=kind, options=options)


@pytest.mark.parametrize(("name", "axes", "kind"), ROWS)
def test_each_row_answers_and_learns(name, axes, kind):
    options = {key: value for key, value in SMALL[kind].items() if key in ARCHITECTURES[name].options}
    network, images = make(name, axes, kind, **options), torch.randn(2, 2, *(16,) * axes)
    answers = network.forward_scales(images) if kind == "dense" else [network(images)]
    assert tuple(answers[0].shape) == ((2, 3, *images.shape[2:]) if kind == "dense" else (2, 3))
    assert network.features(images).ndim == 2
    if kind == "dense":
        assert all(size % by == 0 for size, by in zip(images.shape[2:], network.divisor, strict=True))
    sum(answer.square().sum() for answer in answers).backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(images)
    scale = answers[0].abs().mean().item()
    assert (rough.float() - answers[0]).abs().mean().item() < 0.1 * scale + 0.02


TINY_VIT = {"hidden_size": 16, "mlp_dim": 16, "num_layers": 2, "num_heads": 2, "patch_size": (8, 8)}
OTHERS = [
    ("monai:DynUNet", 3, "dense", 16, {"filters": (4, 8, 8, 8)}),
    ("monai:SegResNet", 3, "dense", 16, {"init_filters": 8}),
    ("monai:UNet", 2, "dense", 16, {"channels": (4, 8, 8), "strides": (2, 2)}),
    ("monai:BasicUNet", 2, "dense", 32, {"features": (4, 4, 8, 8, 8, 4)}),
    ("monai:SwinUNETR", 2, "dense", 64, {"feature_size": 12, "depths": (1, 1, 1, 1)}),
    ("monai:AttentionUnet", 2, "dense", 16, {"channels": (4, 8, 8), "strides": (2, 2)}),
    ("monai:resnet10", 3, "image", 16, {"widen_factor": 0.1}),
    ("monai:DenseNet121", 2, "image", 64, {"init_features": 8, "growth_rate": 4, "block_config": (1, 1, 1, 1)}),
    ("monai:EfficientNetBN", 2, "image", 32, {}),
    ("torchvision:resnet18", 2, "image", 32, {}),
    ("torchvision:squeezenet1_1", 2, "image", 64, {}),
    ("torchvision:googlenet", 2, "image", 64, {"init_weights": False}),
    ("torchvision:lraspp_mobilenet_v3_large", 2, "dense", 40, {}),
    ("torchvision:fcn_resnet50", 2, "dense", 20, {}),
    ("timm:resnet10t", 2, "image", 32, {}),
    ("timm:vit_tiny_patch16_224", 2, "image", 32, {"img_size": 32, "depth": 2}),
    ("timm:deit_tiny_distilled_patch16_224", 2, "image", 32, {"img_size": 32, "depth": 2}),
]


@pytest.mark.parametrize(("name", "axes", "kind", "size", "options"), OTHERS, ids=[row[0] for row in OTHERS])
def test_networks_of_other_libraries_answer_and_learn(name, axes, kind, size, options):
    network, images = make(name, axes, kind, **options), torch.randn(2, 2, *(size,) * axes)
    answer = network(images)
    assert tuple(answer.shape) == ((2, 3, *images.shape[2:]) if kind == "dense" else (2, 3))
    features = network.features(images)
    assert features.ndim == 2
    assert len(features) == 2
    answer.square().sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []
    if kind == "dense":
        assert len(network.forward_scales(images)) == 1
        assert len(network.divisor) == axes


def test_vit_of_monai_learns_but_for_its_unused_cross_attention():
    """MONAI makes a normalisation for cross-attention in each block and uses it in decoders alone."""
    network = make("monai:ViT", 2, "image", img_size=(16, 16), **TINY_VIT)
    network(torch.randn(2, 2, 16, 16)).square().sum().backward()
    silent = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert silent
    assert all("norm_cross_attn" in name for name in silent)


def row(name, message, *, axes=2, kind="image", weights="random", **options):
    return pytest.param(name, message, axes, kind, weights, options, id=f"{name}: {message.partition(chr(10))[0]}")


@pytest.mark.parametrize(
    ("name", "message", "axes", "kind", "weights", "options"),
    [
        row("unett", "did you mean unet", kind="dense"),
        row("unet", "unet does not answer per image\n  Next: choose one of resnet10"),
        row("unet", "has no option 'droput'\n  Next: did you mean dropout", kind="dense", droput=0.1),
        row("unet", "need 2 numbers each", kind="dense", strides=[[1, 1, 1], [2, 2, 2]]),
        row("resnet10", "resnet10 has no published weights", weights="hub"),
        row("keras:resnet18", "no library of networks is called 'keras'\n  Next: choose one of timm, torchvision, monai"),
        row("timm:resnet81", "timm has no network called 'resnet81'\n  Next: did you mean resnet"),
        row("timm:resnet18", "answers per image, not per voxel", kind="dense"),
        row("timm:resnet18", "reads 2D images only", axes=3),
        row("timm:resnet18", "timm:resnet18 does not take these options", wings=2),
        row("torchvision:resnet18", "reads 2D images only, and the images are 3D", axes=3),
        row("torchvision:r3d_18", "reads 3D images only, and the images are 2D"),
        row("torchvision:fcn_resnet50", "answers per pixel, not per image"),
        row("torchvision:fasterrcnn_resnet50_fpn", "torchvision has no network called"),
        row("monai:DenseNet121", "answers per image, not per voxel", kind="dense"),
        row("monai:dynunet", "did you mean DynUNet", kind="dense"),
        row("monai:UNETR", "set its option img_size", axes=3, kind="dense"),
        row("monai:DynUNet", "MONAI has no pretrained weights for monai:DynUNet", kind="dense", weights="hub"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_next_step(name, message, axes, kind, weights, options):
    with pytest.raises(OverreadError, match=message):
        build(name, in_channels=1, out_channels=2, dimensions=axes, serves=kind, options=options, weights=weights)


def test_pretrained_weights_that_cannot_be_fetched_say_so(monkeypatch):
    def offline(*_arguments, **_options):
        raise OSError("no network here")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(OverreadError, match="could not be loaded: no network here\n  Next: connect to the internet"):
        build("torchvision:squeezenet1_1", in_channels=1, out_channels=2, dimensions=2, serves="image", weights="hub")


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [("torchvision:squeezenet1_1", {}, 12), ("timm:vit_tiny_patch16_224", {"depth": 1}, 64), ("monai:DenseNet121", {}, 8)],
)
def test_images_too_small_for_a_network_are_refused_with_sizes(name, options, size):
    network = build(name, in_channels=1, out_channels=2, dimensions=2, serves="image", options=options)
    with pytest.raises(OverreadError, match=rf"an image of \({size}, {size}\) does not fit {name}"):
        network(torch.zeros(2, 1, size, size))


def test_small_images_keep_their_resolution_in_the_stem():
    small = build("resnet10", in_channels=1, out_channels=2, dimensions=2, serves="image", options={"image_size": (28, 28)})
    large = build("resnet10", in_channels=1, out_channels=2, dimensions=2, serves="image", options={"image_size": (224, 224)})
    images = torch.zeros(2, 1, 28, 28)
    assert small.stem(images).shape[2:] == (28, 28)
    assert large.stem(images).shape[2:] == (7, 7)


SETTLED = {"unet": "instance", "residual_unet": "instance", "resnet18": "batch"}
SETTLED |= {"attention_unet": "instance", "unet_plus_plus": "instance"}
SETTLED |= dict.fromkeys(("vnet", "segnet", "fcn", "deeplab_v3_plus", "pspnet", "fc_densenet"), "batch")
SETTLED |= {"centre_detector": "group", "centre_offset_unet": "group"}


@pytest.mark.parametrize("name", SETTLED)
def test_the_normalisation_that_model_files_leave_out_stays_what_it_was(name):
    """A model names only the options that were set; with another default its weights would load, and answer otherwise."""
    assert ARCHITECTURES[name].options["norm"] == SETTLED[name]
