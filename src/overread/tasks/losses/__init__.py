"""Losses by family; each takes logits and encoded truths and gives one number."""
