"""What a detector must reckon in float32, whatever the layers before it do.

In bfloat16 a coordinate of 300 pixels is known to two pixels, and scores near 0.01 fall into steps of three percent, so that
their order is lost. So the last layers, anchors, boxes, overlaps and losses are float32; the pyramid and the layers
before the last, where the time goes, may be bfloat16.
"""

from torch import Tensor, nn

from overread.networks.full_precision import full_precision


class ExactConv(nn.Conv2d):
    """A convolution in float32 whatever its input is."""

    def forward(self, maps: Tensor) -> Tensor:
        with full_precision(maps.device):
            return super().forward(maps.to(self.weight.dtype))


class ExactLinear(nn.Linear):
    """A linear layer in float32 whatever its input is."""

    def forward(self, values: Tensor) -> Tensor:
        with full_precision(values.device):
            return super().forward(values.to(self.weight.dtype))


def exact(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """The same layer, weights and all, in float32."""
    if isinstance(layer, nn.Linear):
        fresh: nn.Module = ExactLinear(layer.in_features, layer.out_features)
    else:
        sizes = (layer.kernel_size, layer.stride, layer.padding)
        fresh = ExactConv(layer.in_channels, layer.out_channels, *sizes)  # type: ignore[arg-type]
    fresh.weight, fresh.bias = layer.weight, layer.bias  # type: ignore[assignment]
    return fresh


def make_exact(network: nn.Module, names: tuple[str, ...]) -> None:
    """Put float32 forms in place of the layers with these names, wherever in the network they stand."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if name in names and isinstance(layer, nn.Conv2d | nn.Linear):
                setattr(parent, name, exact(layer))
