"""Judgement: hardware simulated against the integer model."""

# In a checkout this folder is on the module path, too: a second import under its own name would make every
# class twice.
if __name__ != "qornn_hw.sim":
    raise ImportError("the package sim must be imported as qornn_hw.sim", name="sim")
