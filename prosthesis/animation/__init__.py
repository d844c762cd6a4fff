"""Living pictures at run time: a still picture moved by films or a camera, through a bundle and its engine; no torch."""
