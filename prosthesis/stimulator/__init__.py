"""The vendor-neutral command model of stimulators: what they can do, what they are told, and the lab devices behind it."""
