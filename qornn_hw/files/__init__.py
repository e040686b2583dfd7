"""Model files: an integer network with what is known of its training."""
