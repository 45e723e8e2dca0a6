"""Networks that give an answer per voxel, one file per family."""
