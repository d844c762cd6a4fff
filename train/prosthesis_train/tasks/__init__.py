"""Recognition tasks, one small file each: camera frames with labels, train and test disjoint, chance level."""
