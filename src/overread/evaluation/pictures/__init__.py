"""The evaluation of answers that are images."""
