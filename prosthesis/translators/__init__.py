"""Hop 3: machine codes to brain codes and back, one file a translator."""
