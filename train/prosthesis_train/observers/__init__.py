"""Frozen, hashed machine observers of percepts, and the batched virtual patients that they look through."""
