"""Features of sensor signals in exact integers."""
