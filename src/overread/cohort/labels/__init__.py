"""Readers of truth: masks by name, UID or geometry; columns of a sheet; class folders; labels inside an archive."""
