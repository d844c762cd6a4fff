"""The parts that a rig names, as written under ``hardware_configs``: arrays, stimulators, links, and their limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, PositiveFloat, PositiveInt, Tag, model_validator

from prosthesis.radio import MAX_TILE_ELECTRODES
from prosthesis.stimulator.profile import CommandConfig
from prosthesis.yamlfile import Strict


class Limit(Strict):
    """One limit, and who says so."""

    value: PositiveFloat
    source: str


class Tier(Strict):
    """The limits of one tier; a missing one is not checked in this tier.

    ``net_current_na`` is what imbalance between a pulse's phases may leave, ``array_charge_nc_per_s`` and
    ``session_charge_uc`` hold for all electrodes together, ``compliance_share`` is a share of the compliance voltage.
    """

    amplitude_ua: Limit | None = None
    charge_per_phase_nc: Limit | None = None
    charge_density_uc_per_cm2: Limit | None = None
    shannon_k: Limit | None = None
    compliance_share: Limit | None = None
    slot_current_ua: Limit | None = None
    total_current_ua: Limit | None = None
    simultaneous: Limit | None = None
    rate_hz: Limit | None = None
    net_current_na: Limit | None = None
    average_charge_nc_per_s: Limit | None = None
    array_charge_nc_per_s: Limit | None = None
    session_charge_uc: Limit | None = None


class Limits(Strict):
    """What is enforced (``hard``) and what is only reported (``advisory``)."""

    hard: Tier = Tier()
    advisory: Tier = Tier()


class GridLayout(Strict):
    """Rows of contacts, numbered row by row from the upper left; ``omit`` lists grid places without a contact.

    ``stagger_um`` shifts every other row, for hexagonal layouts.
    """

    type: Literal["grid"]
    rows: PositiveInt
    columns: PositiveInt
    pitch_um: tuple[PositiveFloat, PositiveFloat]
    stagger_um: float = 0.0
    omit: tuple[int, ...] = ()


class PointsLayout(Strict):
    """Contacts at given (x, y) in um from the array's centre, numbered as listed."""

    type: Literal["points"]
    xy_um: Annotated[tuple[tuple[float, float], ...], Field(min_length=1)]


def _one_or_many(value: object) -> str:
    return "list" if isinstance(value, (list, tuple)) else "number"


# tagged, so that an error speaks of what was written and not of both
PerContact = Discriminator(_one_or_many)
NotNegative = Annotated[float, Field(ge=0)]


class Contact(Strict):
    """The contacts' kind; ``macro`` ones follow Shannon's law, ``micro`` do not (Cogan 2016).

    Area and depth (from the tissue's surface) are one number for all contacts, or one each.
    """

    scale: Literal["micro", "macro"]
    material: str
    area_um2: Annotated[
        Annotated[PositiveFloat, Tag("number")] | Annotated[tuple[PositiveFloat, ...], Tag("list")], PerContact
    ]
    depth_um: Annotated[
        Annotated[NotNegative, Tag("number")] | Annotated[tuple[NotNegative, ...], Tag("list")], PerContact
    ]
    impedance_kohm: PositiveFloat


class ArrayConfig(Strict):
    """An electrode array as published: layout, contact, and the charge limits that go with them."""

    name: str
    summary: str
    sources: tuple[str, ...]
    layout: Annotated[GridLayout | PointsLayout, Field(discriminator="type")]
    contact: Contact
    limits: Limits

    @property
    def contacts(self) -> int:
        """The number of electrodes of one array."""
        if isinstance(self.layout, GridLayout):
            return self.layout.rows * self.layout.columns - len(self.layout.omit)
        return len(self.layout.xy_um)

    @property
    def areas_um2(self) -> tuple[float, ...]:
        """Each contact's area."""
        return self._each(self.contact.area_um2)

    @property
    def depths_um(self) -> tuple[float, ...]:
        """Each contact's depth."""
        return self._each(self.contact.depth_um)

    def _each(self, value: float | tuple[float, ...]) -> tuple[float, ...]:
        return value if isinstance(value, tuple) else (value,) * self.contacts

    @model_validator(mode="after")
    def _one_value_for_each_contact(self) -> ArrayConfig:
        for name, values in (("area_um2", self.areas_um2), ("depth_um", self.depths_um)):
            if len(values) != self.contacts:
                raise ValueError(f"'contact.{name}' has {len(values)} values for {self.contacts} contacts")
        return self


class StimulatorConfig(Strict):
    """A stimulator's capabilities and electrical limits; currents on the wire are ``code * lsb_na``.

    ``phase_mismatch`` is the largest share of a phase's charge by which its two phases differ (chosen: 1 %).
    """

    name: str
    summary: str
    sources: tuple[str, ...]
    channels: PositiveInt
    dac_bits: Annotated[int, Field(ge=4, le=16)]
    lsb_na: PositiveInt
    pulse_width_us: tuple[PositiveInt, PositiveInt]
    interphase_us: tuple[Annotated[int, Field(ge=0)], PositiveInt]
    recovery_us: Annotated[int, Field(ge=0)]
    rate_hz: tuple[PositiveFloat, PositiveFloat]
    compliance_v: PositiveFloat
    phase_mismatch: Annotated[float, Field(ge=0, le=1)] = 0.01
    limits: Limits
    commands: CommandConfig = CommandConfig()

    @property
    def full_scale_na(self) -> int:
        """The largest current that the DAC can make."""
        return ((1 << self.dac_bits) - 1) * self.lsb_na


class RadioConfig(Strict):
    """What the air does to packets; ``rate_kbps`` null means no serialisation delay.

    Loss follows a Gilbert-Elliott chain: mean ``loss``, mean burst length ``mean_burst`` packets. ``bit_error`` is the
    share of wrong bits; ``parity`` bytes of a Reed-Solomon code in each block of 255 correct half as many wrong bytes.
    ``jitter_ms`` is the mean of an exponential delay on top of ``delay_ms``. ``duplicate`` and ``reorder`` are shares
    of packets: those that come twice, and those that come ``reorder_ms`` late, after others. Outages begin
    ``outage_every_s`` apart on average (null: never) and last from ``outage_s[0]`` to ``outage_s[1]``.
    """

    delay_ms: Annotated[float, Field(ge=0)] = 0.0
    jitter_ms: Annotated[float, Field(ge=0)] = 0.0
    rate_kbps: PositiveFloat | None = None
    loss: Annotated[float, Field(ge=0, lt=1)] = 0.0
    mean_burst: Annotated[float, Field(ge=1)] = 1.0
    bit_error: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    parity: Annotated[int, Field(ge=0, le=128, multiple_of=2)] = 0
    duplicate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    reorder: Annotated[float, Field(ge=0, lt=1)] = 0.0
    reorder_ms: Annotated[float, Field(ge=0)] = 5.0
    outage_every_s: PositiveFloat | None = None
    outage_s: tuple[PositiveFloat, PositiveFloat] = (0.2, 2.0)


class LinkConfig(Strict):
    """How the implant is reached. ``port`` is the first of six: stimulation, commands, uplink, both taps, keypad.

    ``ttl_ms`` is how long a pattern may be obeyed after capture; ``tile_electrodes`` how many share one sealed packet
    (0: as many as carry most over this air; ``load_rig`` puts the number in its place).
    ``air_ms`` is the longest that one pattern may occupy the air (null: as long as it takes).
    Any ``sealing`` but ``aead`` is for a client in the making and for showing attacks: its sockets are plain, and it
    works on one machine only.
    """

    name: str
    summary: str
    host: str
    port: Annotated[int, Field(ge=1024, le=65530)]
    ttl_ms: Annotated[int, Field(ge=10, le=1000)]
    tile_electrodes: Annotated[int, Field(ge=0, le=MAX_TILE_ELECTRODES, multiple_of=8)]
    air_ms: PositiveFloat | None = None
    sealing: Literal["aead", "hmac", "crc", "none"] = "aead"
    radio: RadioConfig = RadioConfig()
