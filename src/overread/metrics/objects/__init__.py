"""Metrics of objects: boxes, and instances with their voxels. Every one takes weights per case, so a bootstrap is weights."""
