"""Delivery: from a model to a bundle a device can run."""
