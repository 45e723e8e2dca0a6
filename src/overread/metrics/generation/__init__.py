"""Metrics of images that were made and answer no case: made images as a whole against real ones, from features of both."""
