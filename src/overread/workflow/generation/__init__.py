"""Parts of the verbs on made images."""
