"""Transports of bytes to an implant, one file each, and the keys that protect them."""
