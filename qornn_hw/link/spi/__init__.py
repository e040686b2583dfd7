"""The host's end of SPI: the host is the controller."""
