"""Scores of readers who tell real images from made ones."""
