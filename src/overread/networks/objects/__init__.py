"""Our networks of objects, in plain torch, 2D and 3D alike."""
