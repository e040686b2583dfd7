"""The data sets, in NumPy."""
