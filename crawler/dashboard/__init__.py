"""The web page: shows how the cluster is and what it found, and takes a few orders."""
