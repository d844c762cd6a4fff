"""FP16 and INT8 baked into graphs, with as many layers lowered as the tolerance allows."""
