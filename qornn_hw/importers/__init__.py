"""Import of networks from other programs as float networks."""
