"""Networks that read a volume slice by slice and give one answer for all of it."""
