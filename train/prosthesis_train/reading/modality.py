"""What a sense must give to be read and written: stimuli as pictures, their machine codes, and the responses of sites.

Maps and scores take arrays and know of no sense, so a new one is one class here. Vision is the product; the auditory
one is a toy that shows the seam holds: a few kinds of synthesised sounds, sites of made-up tuning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy.signal import stft

from prosthesis.errors import ProsthesisError
from prosthesis_train.artefacts import Artefact
from prosthesis_train.scores.card import Model

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


class Modality(Protocol):
    """One sense; stimuli are f32[n,1,h,w] in -1..1, as maps and scores know them: pictures, or spectrograms."""

    @property
    def name(self) -> str:
        """Return what figures call it."""

    @property
    def d(self) -> int:
        """Return how many numbers a code has."""

    def stimuli(self, n: int, seed: int) -> F32:
        """Return ``n`` stimuli, the same for the same seed."""

    def codes(self, stimuli: F32) -> F64:
        """Return machine codes f64[n,d]."""

    def reconstruct(self, codes: F64) -> F32:
        """Return the stimuli that codes stand for."""

    def responses_hz(self, stimuli: F32) -> F64:
        """Return the sites' expected rates f64[n,sites]."""


def as_model(sense: Modality) -> Model:
    """Return a sense as the score cards take it."""

    def generate(z: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(sense.reconstruct(z.double().numpy()))

    def encode(stimuli: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(sense.codes(stimuli.numpy())).float()

    return Model(sense.name, sense.d, generate, encode)


@dataclass(frozen=True, slots=True)
class Vision:
    """``pictures`` f32[m,1,h,w] in -1..1, codes of a shipped generator, ``rates_hz`` of images f32[n,h,w] in 0..1."""

    pictures: F32
    model: Artefact
    rates_hz: Callable[[F32], F64]
    name: str = "vision"

    @property
    def d(self) -> int:
        """Return the generator's number."""
        return self.model.dim_z

    def stimuli(self, n: int, seed: int) -> F32:
        """Return ``n`` of the pictures, none twice; raise ``ProsthesisError`` when there are fewer."""
        if n > len(self.pictures):
            raise ProsthesisError(f"{n} pictures are wanted and there are {len(self.pictures)}; ask for fewer")
        return self.pictures[np.random.default_rng(seed).permutation(len(self.pictures))[:n]]

    def codes(self, stimuli: F32) -> F64:
        """Return the encoder's mean codes."""
        return np.asarray(self.model.encode(torch.from_numpy(stimuli))[0].numpy(), np.float64)

    def reconstruct(self, codes: F64) -> F32:
        """Return the generator's pictures."""
        return np.asarray(self.model.generate(torch.from_numpy(codes.astype(np.float32))).numpy(), np.float32)

    def responses_hz(self, stimuli: F32) -> F64:
        """Return the cortex's rates."""
        return self.rates_hz(np.asarray((stimuli[:, 0] + 1) / 2, np.float32))


SAMPLE_HZ, SOUND_S = 8000, 0.25
BANDS, FRAMES = 24, 24  # of the spectrogram: 125 Hz to 3.5 kHz in equal ratios; about 10 ms each
LOW_HZ, HIGH_HZ = 125.0, 3500.0


@dataclass(frozen=True)
class Hearing:
    """Log spectrograms of sounds of 0.25 s; codes: their main components; sites: spectro-temporal ripples.

    Sites answer as rectified Gabor patches of the spectrogram, the usual first model of auditory cortex (Theunissen et
    al. 2000; Chi et al. 2005). Their numbers are ours, drawn by ``seed``.
    """

    sites: int = 100
    d: int = 20
    seed: int = 0
    name: str = "hearing (toy)"

    def stimuli(self, n: int, seed: int) -> F32:
        """Return tones, harmonic stacks, sweeps and bursts of noise, a quarter of each, in random order."""
        random = np.random.default_rng((seed, 1))
        sounds = [_sound(int(kind), random) for kind in random.permutation(np.arange(n) % 4)]
        return np.asarray(spectrograms(np.stack(sounds))[:, None] * 2 - 1, np.float32)

    def codes(self, stimuli: F32) -> F64:
        """Return scores on the main components, scaled to variance 1 over the sample they were found in."""
        mean, axes, scale = self._components
        return np.asarray((stimuli.reshape(len(stimuli), -1) - mean) @ axes.T / scale, np.float64)

    def reconstruct(self, codes: F64) -> F32:
        """Return spectrograms."""
        mean, axes, scale = self._components
        flat = np.clip((codes * scale) @ axes + mean, -1, 1)
        return np.asarray(flat.reshape(-1, 1, BANDS, FRAMES), np.float32)

    def responses_hz(self, stimuli: F32) -> F64:
        """Return rates in Hz, 5 without a sound's drive."""
        drive = (stimuli.reshape(len(stimuli), -1) + 1) / 2 @ self._fields.T
        return np.asarray(5.0 + 20.0 * np.maximum(drive, 0.0), np.float64)

    @cached_property
    def _components(self) -> tuple[F64, F64, F64]:
        sample = self.stimuli(1000, self.seed + 1000).reshape(1000, -1).astype(np.float64)
        mean = sample.mean(0)
        _, values, axes = np.linalg.svd(sample - mean, full_matrices=False)
        return mean, axes[: self.d], values[: self.d] / np.sqrt(len(sample))

    @cached_property
    def _fields(self) -> F64:
        random = np.random.default_rng((self.seed, 2))
        band, frame = np.meshgrid(np.arange(BANDS), np.arange(FRAMES), indexing="ij")
        fields = np.zeros((self.sites, BANDS, FRAMES))
        for field in fields:
            centre, width = random.uniform((0, 0), (BANDS, FRAMES)), random.uniform(2, 5, 2)
            away = (band - centre[0]) / width[0], (frame - centre[1]) / width[1]
            ripple = random.uniform(-2, 2) * away[0] + random.uniform(0, 2) * away[1]
            field[:] = np.exp(-(away[0] ** 2 + away[1] ** 2) / 2) * np.cos(ripple + random.uniform(0, 2 * np.pi))
        flat = fields.reshape(self.sites, -1)
        return np.asarray(flat / np.linalg.norm(flat, axis=1, keepdims=True), np.float64)


def spectrograms(sounds: F32) -> F64:
    """Return f64[n,bands,frames]: log power above a floor 60 dB under 1, in 0..1."""
    step = int(SAMPLE_HZ * SOUND_S) // FRAMES
    hz, _, found = stft(sounds, SAMPLE_HZ, nperseg=256, noverlap=256 - step, boundary="zeros")
    edges = np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1)
    # low bands are narrower than a bin: triangles over log frequency, so that none is empty
    centres = np.sqrt(edges[1:] * edges[:-1])
    octaves = np.abs(np.log2(np.maximum(hz, 1.0))[None] - np.log2(centres)[:, None])
    weights = np.maximum(1 - octaves / 0.4, 0)
    weights /= np.maximum(weights.sum(1, keepdims=True), 1e-12)
    power = np.einsum("bf,nft->nbt", weights, np.abs(found[..., :FRAMES]) ** 2)
    return np.asarray(np.minimum(np.log10(1 + power / 1e-6) / 6, 1), np.float64)


def _sound(kind: int, random: np.random.Generator) -> F32:
    t = np.arange(int(SAMPLE_HZ * SOUND_S)) / SAMPLE_HZ
    start = np.exp(random.uniform(np.log(200), np.log(1500)))
    if kind == 3:
        wave = random.standard_normal(len(t)) / 3
    else:
        octaves_per_s = random.uniform(-4, 4) if kind == 2 else 0.0
        phase = 2 * np.pi * np.cumsum(start * 2 ** (octaves_per_s * t)) / SAMPLE_HZ
        partials = np.arange(1, 6 if kind == 1 else 2)
        wave = sum(np.sin(p * phase) / p for p in partials if p * start < HIGH_HZ)
    onset, length = random.uniform(0, 0.1), random.uniform(0.06, 0.15)
    envelope = np.clip(np.minimum(t - onset, onset + length - t) / 0.01, 0, 1)  # ramps of 10 ms
    return np.asarray(wave * envelope * random.uniform(0.3, 1.0), np.float32)
