"""SPI as a physical link: the board is the device, mode 0, most significant bit first."""
