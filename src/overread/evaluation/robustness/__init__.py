"""What degraded images do to a score: paired drops, and what they allow to be said."""
