"""Model bundles: what they are, whether this machine computes what the desk did, and engines side by side."""
