"""A directory that runs on a board: wheel, rig, bundles with their recordings, what to install, how to start."""
