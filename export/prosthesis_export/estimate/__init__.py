"""What a bundle costs on a board: layers, a calibrated roofline, energy and memory, always as ranges."""
