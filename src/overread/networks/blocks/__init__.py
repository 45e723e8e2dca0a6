"""The blocks that networks are made of, one file per family; each names its paper."""
