"""The rows of the table of blocks, by what they are for."""
