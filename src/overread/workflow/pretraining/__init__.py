"""The parts of `overread pretrain`."""
