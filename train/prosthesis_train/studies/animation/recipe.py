"""Living pictures on one page: ``prosthesis results animation``.

Each topic can be measured by itself, ``python -m prosthesis_train.studies.animation.recipe TOPIC``.
"""

from __future__ import annotations

from pathlib import Path

from prosthesis.results import Recipe
from prosthesis_train.studies.topics import Topics

TOPICS = Topics(
    "prosthesis_train.studies.animation",
    Path("runs/animation"),
    {
        "remade": "held-out people",
        "speed": "speed",
        "films": "films",
        "facetask": "face task",
        "steadiness": "steadier percepts",
    },
)
RECIPE = Recipe(
    "Living pictures, beside what would do without them",
    "The shipped bundle, trained on one processor core, from drawn people only; those measured are others. "
    "Distances between keypoints and identities are told by a judge network that was trained on yet other drawn people "
    "and took no part in training. Figures on drawn people do not say how photographs of people look.",
    TOPICS.measure,
    TOPICS.draw,
    TOPICS.commits,
)

if __name__ == "__main__":
    TOPICS.main()
