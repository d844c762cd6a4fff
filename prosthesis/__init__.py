"""The device of a visual prosthesis: camera frame to machine code to brain code to guarded stimulation.

A research simulator, not a medical device. See ``README.md`` for the eight hops.
"""

__version__ = "0.1.0"
