"""Intervals that know which cases are of one patient."""
