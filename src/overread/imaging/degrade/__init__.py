"""Images made worse on purpose, by known amounts: to see what a model makes of them."""
