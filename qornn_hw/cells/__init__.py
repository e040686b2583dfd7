"""Recurrent cells: their parameters, their integers and their ranges."""
