"""Cases become tensors: preparation applied and undone, the memory-mapped cache, windows, augmentation, samplers."""
