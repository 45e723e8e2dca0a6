"""What is wrong, or thin, in drawn objects."""
