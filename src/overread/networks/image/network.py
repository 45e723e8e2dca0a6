"""What the networks that answer per image share: stages that make maps, a neck that makes features of them, a linear layer."""

from collections.abc import Sequence

from torch import Tensor, nn

from overread.core.errors import OverreadError

SMALL_IMAGE = 64  # pixels: up to here a stem made for photographs keeps the resolution


class ImageNetwork(nn.Module):
    """Stages, neck, dropout, one linear layer.

    name        as in the table, for messages
    stages      (B, C, [Z,] Y, X) to maps or tokens, one child per stage, the stem first
    neck        what the stages give to features (B, F)
    head        features to logits (B, out_channels)
    dimensions  2 or 3 spatial axes
    smallest    pixels that each axis of an image must have at least
    fixed_size  the only size of image that the network has weights for, [Z,] Y, X; None where it reads many
    dropout     share of features dropped before the linear layer
    """

    def __init__(
        self,
        name: str,
        stages: nn.Sequential,
        neck: nn.Module,
        head: nn.Linear,
        *,
        dimensions: int,
        smallest: int = 1,
        fixed_size: Sequence[int] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.name, self.dimensions, self.smallest, self.fixed_size = name, dimensions, smallest, fixed_size
        self.stages, self.neck, self.dropout, self.head = stages, neck, nn.Dropout(dropout), head

    def forward(self, images: Tensor) -> Tensor:
        """Logits per image: (B, C, [Z,] Y, X) to (B, out_channels)."""
        return self.head(self.dropout(self.features(images)))

    def features(self, images: Tensor) -> Tensor:
        """What the linear layer reads: (B, F)."""
        refuse_unfit(images.shape[2:], self.dimensions, self.smallest, self.name)
        if self.fixed_size is not None:
            refuse_other_size(images.shape[2:], self.fixed_size, self.name)
        return self.neck(self.stages(images))


def refuse_unfit(size: Sequence[int], dimensions: int, smallest: int, name: str) -> None:
    """Stop where an image has other axes than the network, or fewer pixels along one than its strides leave alive."""
    if len(size) != dimensions:
        raise OverreadError(f"{name} was built for {dimensions}D images, and got one of size {tuple(size)}")
    if min(size) < smallest:
        larger = [max(pixels, smallest) for pixels in ([1, *size] if dimensions == 2 else size)]
        if dimensions == 2:
            larger[0] = 1
        raise OverreadError(
            f"an image of {tuple(size)} does not fit {name}: each axis must have at least {smallest} pixels",
            next=f"set [training] patch = {larger}, or choose a network with fewer strides, such as resnet18",
        )


def size_of(image_size: Sequence[int] | None, dimensions: int, smallest: int, name: str) -> tuple[int, ...] | None:
    """The size of the images, [Z,] Y, X, as far as it is known while the network is built; one that is too small is refused."""
    if image_size is None:
        return None
    size = tuple(int(pixels) for pixels in image_size)
    refuse_unfit(size, dimensions, smallest, name)
    return size


def known_size(image_size: Sequence[int] | None, dimensions: int, name: str) -> tuple[int, ...]:
    """The size of the images for a network whose weights depend on it."""
    if image_size is None:
        sizes = "[height, width]" if dimensions == 2 else "[depth, height, width]"
        raise OverreadError(
            f"{name} has weights for every place of an image, so it must know the size of the images",
            next=f"set image_size = {sizes}",
        )
    size = size_of(image_size, dimensions, 1, name)
    assert size is not None
    return size


def refuse_other_size(size: Sequence[int], built_for: Sequence[int], name: str) -> None:
    """Stop where an image has another size than the network has weights for."""
    if tuple(size) != tuple(built_for):
        raise OverreadError(
            f"{name} was built for images of {tuple(built_for)}, and got one of size {tuple(size)}",
            next=f"scale or pad the image to {tuple(built_for)}",
        )


def keeps_small(keeps_size: bool | None, size: Sequence[int] | None) -> bool:
    """Whether a stem keeps the resolution: as asked for, else where the images are known to be small."""
    return keeps_size if keeps_size is not None else size is not None and max(size) <= SMALL_IMAGE


def scaled(published: int, width: int, of: int) -> int:
    """Channels of a layer published with so many, where the first stage has `width` instead of `of`; 1 at least."""
    return max(1, round(published * width / of))
