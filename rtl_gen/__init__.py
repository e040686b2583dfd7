"""Amaranth components of the hardware: structure from plain data, no files, no boards."""

# In a checkout this folder is on the module path, too: a second import under its own name would make every
# class twice.
if __name__ != "qornn_hw.rtl_gen":
    raise ImportError("the package rtl_gen must be imported as qornn_hw.rtl_gen", name="rtl_gen")
