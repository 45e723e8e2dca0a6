"""A network that a user writes as a short list of blocks."""
