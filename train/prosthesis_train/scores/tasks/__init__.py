"""``prosthesis score task``: how often a frozen observer is right about percepts, beside its controls."""
