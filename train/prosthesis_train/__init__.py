"""The desk: networks, training methods, brain reading, scores. Needs torch; nothing here runs on the device."""
