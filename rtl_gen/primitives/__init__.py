"""Cells of an FPGA that synthesis cannot infer, each with a twin that simulates anywhere.

A component here is the vendor's cell where it is elaborated for a platform, and plain logic with the same
behaviour where there is none; ``tests/test_rtl_gen_primitives.py`` compares the two.
"""
