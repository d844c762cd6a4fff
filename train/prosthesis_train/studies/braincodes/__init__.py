"""Studies of brain codes: reading, writing, and the map between."""
