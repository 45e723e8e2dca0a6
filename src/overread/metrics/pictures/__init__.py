"""Metrics of images as answers: how far from the true image, voxel by voxel and in structure."""
