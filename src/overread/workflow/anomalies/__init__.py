"""Parts of `overread anomaly`: what a model of normal images makes of a case, what is usual there, and what lies beyond."""
