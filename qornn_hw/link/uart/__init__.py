"""The host's end of a UART."""
