"""Weights from elsewhere into a network: read without running code, matched by name, by twin or by order, all of it listed."""

from overread.networks.weights.adapting import adapt_channels, inflate
from overread.networks.weights.files import named_tensors, read_weights
from overread.networks.weights.fitting import load_tensors, load_weights
from overread.networks.weights.loaded import Loaded, weights_digest

__all__ = [
    "Loaded",
    "adapt_channels",
    "inflate",
    "load_tensors",
    "load_weights",
    "named_tensors",
    "read_weights",
    "weights_digest",
]
