"""Networks that read clinical values beside an image."""
