"""The command line, one file a command; the top layer."""
