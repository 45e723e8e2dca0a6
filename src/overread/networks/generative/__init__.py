"""Networks whose answer is an image: autoencoders, adversarial pairs, translators, denoisers of diffusion."""
