"""Images without labels: found in a folder, and learned from beside labelled ones."""
