"""Sequences of user data, and the conversion from real numbers to integers and back."""
