"""A study as a YAML file: what is varied and what is measured; every combination is one cell."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, model_validator

from prosthesis.yamlfile import Strict

Fraction = Annotated[float, Field(ge=0, lt=1)]
Number = Annotated[int, Field(ge=0)]


class Carried(Strict):
    """Carry ``frames`` of a recorded or synthetic ``source`` through the whole pipeline, the link and the patient.

    Without a source, the rig's own is taken.
    """

    type: Literal["carried"]
    frames: Annotated[int, Field(ge=2)] = 60
    source: str | None = None


class Recognised(Strict):
    """Ask the frozen observer of ``task`` at the rig about ``trials`` percepts; links play no part in it."""

    type: Literal["recognised"]
    task: str
    trials: Annotated[int, Field(ge=2)] = 104


Measure = Annotated[Carried | Recognised, Field(discriminator="type")]
ANY: TypeAdapter[Carried | Recognised] = TypeAdapter(Measure)


class Study(Strict):
    """What is varied (encoders, rigs, patients, dropout, links, seeds) and what is measured of each combination.

    ``encoders`` and ``rigs`` are named as ``prosthesis run`` names them. A patient is the number of one simulated
    person of the rig's world; ``dropout`` is the share of electrodes that evoke nothing, null for the world's own.
    ``seeds`` are those of all that is drawn beside the patient: the weather on the air, the stimuli.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    summary: str
    measures: Annotated[tuple[Measure, ...], Field(min_length=1)]
    encoders: Annotated[tuple[str, ...], Field(min_length=1)]
    rigs: Annotated[tuple[str, ...], Field(min_length=1)]
    patients: Annotated[tuple[Number, ...], Field(min_length=1)]
    dropout: Annotated[tuple[Fraction | None, ...], Field(min_length=1)] = (None,)
    links: Annotated[tuple[str, ...], Field(min_length=1)] = ("loopback",)
    seeds: Annotated[tuple[Number, ...], Field(min_length=1)] = (0,)

    @model_validator(mode="after")
    def _each_once(self) -> Study:
        for name in ("measures", "encoders", "rigs", "patients", "dropout", "links", "seeds"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"'{name}' lists the same twice")
        return self


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination, plain text and numbers: ``measure`` is the JSON of its settings, ``link`` empty without one."""

    measure: str
    encoder: str
    rig: str
    patient: int
    dropout: float | None
    link: str
    seed: int

    def settings(self) -> Carried | Recognised:
        """Return what is measured."""
        return ANY.validate_json(self.measure)

    def described(self) -> dict[str, Any]:
        """Return the combination as the first columns of its row."""
        settings = self.settings()
        of = settings.task if isinstance(settings, Recognised) else settings.source or "the rig's camera"
        return asdict(self) | {"measure": settings.type, "of": of}

    def encode(self) -> str:
        """Return the cell as JSON, for ``decode``."""
        return json.dumps(asdict(self), sort_keys=True)


def decode(text: str) -> Cell:
    """Invert ``Cell.encode``."""
    return Cell(**json.loads(text))


def cells(study: Study) -> list[Cell]:
    """Return every combination of a study, in the order of its file."""
    # a patient's calibration takes longer than most cells, so what shares one comes together
    axes = (study.measures, study.rigs, study.patients, study.dropout, study.encoders, study.links, study.seeds)
    found = [
        Cell(measure.model_dump_json(), encoder, rig, patient, dropout, _link(measure, link), seed)
        for measure, rig, patient, dropout, encoder, link, seed in itertools.product(*axes)
    ]
    return list(dict.fromkeys(found))


def _link(measure: Carried | Recognised, link: str) -> str:
    return link if isinstance(measure, Carried) else ""
