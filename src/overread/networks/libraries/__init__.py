"""Networks of timm, torchvision and MONAI by name."""
