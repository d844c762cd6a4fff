"""The people a user has enrolled, and whom of them a face resembles. Pure: keeping them is ``store``'s business."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis.messages import F32, U8, readonly
from prosthesis.protocols import Engine

LENGTH = 192


@dataclass(frozen=True, slots=True)
class Person:
    """One enrolled person: ``embeddings`` f32[pictures, 192] of length 1, ``pattern`` the number of their pattern."""

    name: str
    pattern: int
    embeddings: F32

    @property
    def template(self) -> F32:
        """The mean of the embeddings, f32[192] of length 1: what a face is compared with."""
        return unit(self.embeddings.sum(axis=0))


@dataclass(frozen=True, slots=True)
class Match:
    """Whom a face resembles most, ``None`` when nobody is enrolled, and how much: a cosine, -1 to 1."""

    person: Person | None
    cosine: float


@dataclass(frozen=True, slots=True)
class Gallery:
    """Everybody enrolled, in the order of enrolment; each has a pattern of their own, which stays theirs."""

    people: tuple[Person, ...] = ()

    def enrolled(self, name: str, embeddings: F32) -> Gallery:
        """Return the gallery with pictures f32[n, 192] of ``name``: a new person, or more of one who is there."""
        if not name.strip() or name != name.strip() or not name.isprintable():
            raise ProsthesisError(f"'{name}': not a name; give printable text that neither begins nor ends with space")
        rows = readonly(np.atleast_2d(embeddings), np.float32)
        known = {person.name: person for person in self.people}
        if name in known:
            both = readonly(np.concatenate([known[name].embeddings, rows]), np.float32)
            grown = replace(known[name], embeddings=both)
            return Gallery(tuple(grown if person.name == name else person for person in self.people))
        taken = {person.pattern for person in self.people}
        free = next(number for number in range(len(taken) + 1) if number not in taken)
        return Gallery((*self.people, Person(name, free, rows)))

    def without(self, name: str) -> Gallery:
        """Return the gallery without ``name``; ``ProsthesisError`` when nobody of that name is in it."""
        left = tuple(person for person in self.people if person.name != name)
        if len(left) == len(self.people):
            known = ", ".join(person.name for person in self.people) or "nobody"
            raise ProsthesisError(f"'{name}' is not enrolled; there is: {known}")
        return Gallery(left)

    def match(self, embedding: F32) -> Match:
        """Return who is nearest to ``embedding`` f32[192] of length 1; whether that is near enough is for others."""
        if not self.people:
            return Match(None, -1.0)
        cosines = [float(person.template @ embedding) for person in self.people]
        best = int(np.argmax(cosines))
        return Match(self.people[best], cosines[best])


def unit(vector: F32) -> F32:
    """Return ``vector`` at length 1; zeros stay zeros."""
    length = float(np.linalg.norm(vector))
    return readonly(vector / length if length > 0 else vector, np.float32)


def embed(face: U8, engine: Engine) -> F32:
    """Return the identity f32[192] of an aligned face u8[112, 112, 3], of length 1; ``engine`` runs the embedder."""
    return unit(engine.run({"face": face[None]})["embedding"][0])
