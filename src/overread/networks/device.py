"""Where networks run on this machine."""

import torch


def best_device() -> str:
    """ "cuda" where there is a graphics processor that torch can use, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"
