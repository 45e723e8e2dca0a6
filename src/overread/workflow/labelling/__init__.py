"""What to label next: the pool as a model sees it, and labelling in rounds to see whether it helps."""
