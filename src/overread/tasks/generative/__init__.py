"""Tasks whose answer is an image: made of another one of the case, or of random numbers alone."""
