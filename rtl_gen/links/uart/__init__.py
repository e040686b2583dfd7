"""The UART as a physical link: bytes over two wires, 8 data bits, no parity, one stop bit, low bit first."""
