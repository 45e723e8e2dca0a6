"""Inside a network: kernels, maps of its layers, what excites a channel, how far it sees, what each layer costs."""
