"""The vendor-neutral command model of stimulators: what they can do and are told, and the lab devices behind it."""
