"""Files, folders and archives from untrusted sources. This package knows nothing of networks."""
