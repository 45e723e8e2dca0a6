"""Counts of labels, and labels that do not fit their images."""
