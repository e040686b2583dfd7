"""The link between host and core: frames, common to all links, and one folder for each physical link."""
