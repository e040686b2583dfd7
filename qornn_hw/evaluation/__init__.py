"""Measurement of networks: on their task, on a user's data, and at several bit widths."""
