"""All topics of brain codes on one page: ``prosthesis results braincodes``.

Each topic can be measured by itself, ``python -m prosthesis_train.studies.braincodes.recipe TOPIC``.
"""

from __future__ import annotations

from pathlib import Path

from prosthesis.results import Recipe
from prosthesis_train.studies.topics import Topics

TOPICS = Topics(
    "prosthesis_train.studies.braincodes",
    Path("runs/braincodes"),
    {
        "bijections": "maps",
        "recordings": "recordings",
        "controls": "score card",
        "evolution": "evolution",
        "modalities": "two modalities",
        "finetuning": "fine-tuning",
        "textures": "textures",
        "writing": "write path",
    },
)
RECIPE = Recipe(
    "Brain codes: reading, writing, and the map between",
    "Simulated brains are frozen: drawn from a seed, with the digest of what was drawn pinned in a test. Latent error "
    "is the mean squared error of decoded codes as a share of their variance: 1 is what their mean would get. Encoding "
    "r is Pearson's r between expected and measured rates of a site over test pictures, averaged over sites. "
    "Stimulation can only raise activity and cannot address co-located units of different tuning apart. *Decoding* is "
    "of codes, *identification* picks from candidates, *reconstruction* makes a picture.",
    TOPICS.measure,
    TOPICS.draw,
    TOPICS.commits,
)

if __name__ == "__main__":
    TOPICS.main()
