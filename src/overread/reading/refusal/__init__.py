"""Is this image of the kind that the model was trained on? By its header, by its content; refused or warned, with the reason."""
