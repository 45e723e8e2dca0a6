"""What a network tells of the slices that its answer rests on, whichever network stands around it."""

from __future__ import annotations

from torch import Tensor, nn

from overread.networks.exam.gather import AttentionOverSlices
from overread.networks.exam.network import ExamNetwork
from overread.networks.fusion.fused import Fused


def over_slices(network: nn.Module) -> ExamNetwork | None:
    """The network over slices: itself, or the one beside which clinical values are read; None where there is none."""
    inner = network.inner if isinstance(network, Fused) else network
    return inner if isinstance(inner, ExamNetwork) else None


def axis_of(network: nn.Module) -> int | None:
    """Axis of the prepared volume along which its slices follow each other; None where it does not read by slices."""
    inner = over_slices(network)
    return None if inner is None else inner.axis


def meaning(network: nn.Module) -> str:
    """What its slice weights are, in words."""
    inner = over_slices(network)
    assert inner is not None
    if isinstance(inner.gather, AttentionOverSlices):
        return "share of the network's attention"
    return "share in the change of the answer when one slice is left out"


def slice_weights(network: nn.Module, images: Tensor) -> Tensor:
    """(B, C, Z, Y, X) to (B, S), see `ExamNetwork.slice_weights`.

    Of a network that reads clinical values beside the image: a share in the change of the answer that it makes with the values
    of the patient, which are fixed (`networks.fusion.fused.about`) or lie in further channels of the images.
    """
    inner = over_slices(network)
    assert inner is not None
    if not isinstance(network, Fused):
        return inner.slice_weights(images)
    picture, values = network.split(images)
    if isinstance(inner.gather, AttentionOverSlices):
        return inner.slice_weights(picture)
    if values is None:
        raise ValueError(f"the answer rests on {network.values} clinical values too, and none came")
    return inner.slice_weights(picture, lambda said, k: network.answer(said, values[k].expand(len(said), -1)))
