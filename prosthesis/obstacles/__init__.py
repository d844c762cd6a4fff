"""Seeing what one is about to walk into: flow, its expansion, boxes and stereo, and how urgent each is."""
