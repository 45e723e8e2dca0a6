"""What `overread networks` shows of a network."""
