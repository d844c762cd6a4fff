"""All topics of the task encoders on one page: ``prosthesis results tasks``.

Each topic can be measured by itself, ``python -m prosthesis_train.studies.tasks.recipe TOPIC``.
"""

from __future__ import annotations

from pathlib import Path

from prosthesis.results import Recipe
from prosthesis_train.studies.topics import Topics

TOPICS = Topics(
    "prosthesis_train.studies.tasks",
    Path("runs/tasks"),
    {
        "recognition": "recognition",
        "learned": "learned codes and encoders",
        "reading": "text reading",
        "faces": "faces",
        "face_matching": "faces compared",
        "films": "films",
        "obstacles": "obstacles",
        "mobility": "mobility",
    },
)
RECIPE = Recipe(
    "Task encoders, judged through the percept",
    "Observers are frozen networks that were trained on percepts of other patients, ordinary fonts, faces and scenes; "
    "none is a person. A learned code is another thing, one that a user must be taught, and is given apart. Published "
    "human figures are context, never ours. Every encoder gets the same crop of the same frames; calibrations are as "
    "the device would have measured them.",
    TOPICS.measure,
    TOPICS.draw,
    TOPICS.commits,
)

if __name__ == "__main__":
    TOPICS.main()
