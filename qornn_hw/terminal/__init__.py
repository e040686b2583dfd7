"""Output on a terminal: safe text, verbosity, progress."""
