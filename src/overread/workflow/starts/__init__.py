"""Where a training begins: `[training] weights` found, judged and loaded."""
