"""Amaranth components of the hardware: structure from plain data, no files, no boards."""
