"""Scores of anomalies: what does not look like the normal cases."""
