"""Faults of drawn truths."""
