"""How sure the numbers are, what was decided on tuning data, and who may look at the internal test. No torch."""
