"""The networks that answer per image: how each is built, and its row in the table."""

from collections.abc import Callable
from functools import partial

from torch import nn

from overread.networks.architecture import BOTH, IMAGE, PLANE, Architecture
from overread.networks.image.alexnet import make_alexnet
from overread.networks.image.borrowed import make_inception_v3, make_swin_tiny
from overread.networks.image.convnext import make_convnext_tiny
from overread.networks.image.densenet import DEPTHS as OF_DENSENET
from overread.networks.image.densenet import make_densenet
from overread.networks.image.efficientnet import SCALINGS, make_efficientnet
from overread.networks.image.googlenet import make_googlenet
from overread.networks.image.lenet import make_lenet
from overread.networks.image.mobilenet import make_mobilenet_v2, make_mobilenet_v3_small
from overread.networks.image.perceptron import make_multilayer_perceptron, make_perceptron
from overread.networks.image.residual import make_relative
from overread.networks.image.resnet import DEPTHS, make_resnet
from overread.networks.image.vgg import DEPTHS as OF_VGG
from overread.networks.image.vgg import make_vgg
from overread.networks.image.vit import SIZES, make_vit

_RESNET = "He 2016, arXiv:1512.03385"


def _row(name: str, paper: str, build: Callable[..., nn.Module]) -> Architecture:
    return Architecture(name, IMAGE, BOTH, paper, "Apache-2.0", build)


ROWS = (
    *(_row(name, _RESNET, partial(make_resnet, name)) for name in DEPTHS),
    _row("perceptron", "Rosenblatt 1958, doi:10.1037/h0042519", make_perceptron),
    _row("mlp", "Rumelhart 1986, doi:10.1038/323533a0", make_multilayer_perceptron),
    _row("lenet", "LeCun 1998, doi:10.1109/5.726791", make_lenet),
    _row("alexnet", "Krizhevsky 2012, doi:10.1145/3065386", make_alexnet),
    *(_row(name, "Simonyan 2015, arXiv:1409.1556", partial(make_vgg, name)) for name in OF_VGG),
    _row("googlenet", "Szegedy 2015, arXiv:1409.4842", make_googlenet),
    _row("plain18", _RESNET, partial(make_relative, "plain18")),
    _row("plain34", _RESNET, partial(make_relative, "plain34")),
    _row("resnet18_preactivation", "He 2016, arXiv:1603.05027", partial(make_relative, "resnet18_preactivation")),
    _row("resnext50", "Xie 2017, arXiv:1611.05431", partial(make_relative, "resnext50")),
    _row("se_resnet18", "Hu 2018, arXiv:1709.01507", partial(make_relative, "se_resnet18")),
    _row("se_resnet50", "Hu 2018, arXiv:1709.01507", partial(make_relative, "se_resnet50")),
    _row("cbam_resnet18", "Woo 2018, arXiv:1807.06521", partial(make_relative, "cbam_resnet18")),
    *(
        _row(name, "Huang 2017, arXiv:1608.06993", partial(make_densenet, name, width=depth.width))
        for name, depth in OF_DENSENET.items()
    ),
    _row("mobilenet_v2", "Sandler 2018, arXiv:1801.04381", make_mobilenet_v2),
    _row("mobilenet_v3_small", "Howard 2019, arXiv:1905.02244", make_mobilenet_v3_small),
    *(_row(name, "Tan 2019, arXiv:1905.11946", partial(make_efficientnet, name)) for name in SCALINGS),
    _row("convnext_tiny", "Liu 2022, arXiv:2201.03545", make_convnext_tiny),
    *(_row(name, "Dosovitskiy 2021, arXiv:2010.11929", partial(make_vit, name)) for name in SIZES),
    Architecture("inception_v3", IMAGE, PLANE, "Szegedy 2016, arXiv:1512.00567", "BSD-3-Clause", make_inception_v3),
    Architecture("swin_tiny", IMAGE, PLANE, "Liu 2021, arXiv:2103.14030", "Apache-2.0", make_swin_tiny),
)
