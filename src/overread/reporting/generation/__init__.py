"""Pages about images that were made: the room in which readers tell them from real ones, and grids to look at."""
