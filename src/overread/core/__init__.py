"""The nouns: what the other rooms pass to each other. Nothing here does work, and nothing imports another room."""
