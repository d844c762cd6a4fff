"""The world: radio channel, implant emulator, cortex and percept. A simulation, and the device cannot tell."""
