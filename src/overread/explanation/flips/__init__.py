"""The smallest change of an image that turns an answer into another one. For teaching; no estimate of a clinical risk."""
