"""Attribution methods by name: each turns one question to a network into one number per voxel."""
