"""Studies: a grid of encoders, rigs, patients and links, measured cell by cell, here or on many machines."""
