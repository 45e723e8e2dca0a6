"""Two models, or readers and a model, on the same cases: paired tests, margins, sentences."""
