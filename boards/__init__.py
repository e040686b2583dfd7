"""Places: FPGA boards, their clocks and links, and the tools that build for them."""

# In a checkout this folder is on the module path, too: a second import under its own name would make every
# class twice.
if __name__ != "qornn_hw.boards":
    raise ImportError("the package boards must be imported as qornn_hw.boards", name="boards")
