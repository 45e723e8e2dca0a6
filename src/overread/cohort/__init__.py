"""Cases with their truth: from a folder and a sheet to partitions, a seal, and pixels on demand."""
