"""The evaluation of images that were made: as a whole, as they answer no case."""
