"""Places: FPGA boards, their clocks and links, and the tools that build for them."""
