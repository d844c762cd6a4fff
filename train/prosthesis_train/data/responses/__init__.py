"""Responses of brains to pictures: one form for every published set, none of which ships with this product."""
