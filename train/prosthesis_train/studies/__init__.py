"""Studies: what the simulated patients predict against what people reported, one subject a file."""
