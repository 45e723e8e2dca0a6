"""The digital phantom: simulated patients with known truth, written as real files and marked synthetic in each of them."""
