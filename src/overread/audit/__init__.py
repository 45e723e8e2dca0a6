"""Is the ground firm? Looks at labels, readers and images before anything is trained."""
