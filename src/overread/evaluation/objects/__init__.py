"""The evaluation of objects: boxes and instances, matched with those of the truth."""
