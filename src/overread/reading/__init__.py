"""The trained model, in memory and as a file, reads a case."""
