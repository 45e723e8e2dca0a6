"""Networks that give one answer per image, one file per family."""
