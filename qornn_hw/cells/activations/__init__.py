"""The activations of an Elman layer: one file each, and the registry."""
