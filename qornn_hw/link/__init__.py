"""The link between host and board: frames and times."""
