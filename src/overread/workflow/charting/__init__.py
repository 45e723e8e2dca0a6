"""What `overread chart` gathers: every run of a project with its score and its cost."""
