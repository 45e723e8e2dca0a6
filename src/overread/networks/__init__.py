"""Networks by name: our U-Nets and ResNets, and those of timm, torchvision and MONAI."""

from overread.networks.table import ARCHITECTURES, Architecture, build

__all__ = ["ARCHITECTURES", "Architecture", "build"]
