"""Letters for a phosphene display: their strokes, their shape for one patient, and learned sets."""
