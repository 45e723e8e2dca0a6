"""Whether an image fits a network."""

from collections.abc import Sequence

from overread.core.errors import OverreadError


def refuse_indivisible(size: Sequence[int], divisor: Sequence[int], source: str) -> None:
    """Stop where an image does not survive the network's strides."""
    if len(size) != len(divisor):
        raise OverreadError(f"{source} was built for {len(divisor)}D images, and got one of size {tuple(size)}")
    if any(voxels % by for voxels, by in zip(size, divisor, strict=True)):
        padded = tuple(-(-voxels // by) * by for voxels, by in zip(size, divisor, strict=True))
        raise OverreadError(
            f"an image of {tuple(size)} does not fit {source}: each axis must be a multiple of {tuple(divisor)}",
            next=f"pad the image to {padded}, or plan fewer stages",
        )
