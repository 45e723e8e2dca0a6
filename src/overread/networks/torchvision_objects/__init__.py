"""Detectors of torchvision behind our contract: networks that answer with objects."""
