from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prosthesis.config import ArrayPlacement, load_rig
from prosthesis.errors import ConfigError
from prosthesis.messages import Delivered
from prosthesis_sim.electrodes import place
from prosthesis_sim.gaze import Gaze
from prosthesis_sim.participant import Participant
from prosthesis_sim.patient import GazeConfig, load_world
from prosthesis_sim.phosphenes import render_reference
from prosthesis_sim.screen import shifted
from prosthesis_sim.world import World

MS = 1_000_000


def world_of(rig_name="utah96", seed=0, world=None, **changes):
    rig = load_rig(rig_name, uncalibrated=True)
    config = load_world(world or rig.config.world)
    config = config.model_copy(update={k: getattr(config, k).model_copy(update=v) for k, v in changes.items()})
    return World(config, place(rig.config.implant, rig.array), seed), rig


def delivered(n, amplitude, dt_ms, rate_hz=300.0, width_us=170.0):
    pulses = np.full(n, round(rate_hz * dt_ms / 1000), np.int32)
    return Delivered(
        1, 1, 0, round(dt_ms * MS), np.full(n, amplitude, np.float32), np.full(n, width_us, np.float32), pulses,
        np.zeros(n, np.uint8),
    )  # fmt: skip


def test_a_train_that_stops_fades_with_its_time_constant_and_keeps_its_size():
    world, _ = world_of(scatter={"dropout": 0.0})
    world.step(delivered(96, 300, 160))
    size, lit = world.sigma_deg().copy(), world.state.activation.copy()
    world.step(delivered(96, 0, 50, 0))
    assert world.state.activation == pytest.approx(lit * np.exp(-0.05 / world.law.tau_act_s), rel=1e-6)
    assert (world.brightness() > 0).all(), "one silent frame must not blank a phosphene"
    assert np.array_equal(world.sigma_deg(), size)


def test_below_rheobase_nothing_is_seen_however_long():
    world, _ = world_of(world="van_der_grinten_2024")
    for _ in range(100):
        world.step(delivered(96, 23.0, 33))
    assert not world.percept(1, 1, 1).image.any()


def test_thresholds_dropouts_and_places_are_the_patients_own():
    a, _ = world_of(seed=1)
    b, _ = world_of(seed=1)
    c, _ = world_of(seed=2)
    assert np.array_equal(a.person.scale_ua, b.person.scale_ua)
    assert not np.array_equal(a.person.scale_ua, c.person.scale_ua)
    assert (a.person.threshold > 0).all()


def test_electrodes_keep_their_index_when_some_lie_outside_the_map():
    rig = load_rig("utah96", uncalibrated=True)
    far = rig.config.implant.model_copy(update={"placements": (ArrayPlacement(x_mm=29.0, y_mm=22.0),)})
    world = World(load_world("human_v1"), place(far, rig.array), 0)
    assert len(world.person.x_deg) == 96
    assert 0 < world.person.responsive.sum() < 96
    world.step(delivered(96, 100, 160))
    assert not world.brightness()[~world.person.responsive].any()


def test_a_utah_array_lies_where_it_was_placed_row_by_row_from_the_upper_left():
    rig = load_rig("utah96", uncalibrated=True)
    array = place(rig.config.implant, rig.array)
    assert array.u_mm.mean() == pytest.approx(29.0, abs=1e-9)
    assert array.v_mm.mean() == pytest.approx(4.0, abs=1e-9)
    assert array.v_mm[0] == array.v_mm.max()  # the first row is the top
    assert array.u_mm[0] == pytest.approx(29.0 - 3.5 * 0.4)  # the corner itself carries no electrode
    assert np.diff(array.u_mm[:8]) == pytest.approx(0.4)


def test_turned_by_a_quarter_an_arrays_right_is_up():
    rig = load_rig("utah96", uncalibrated=True)
    turned = rig.config.implant.model_copy(
        update={"placements": (ArrayPlacement(x_mm=29.0, y_mm=4.0, rotation_deg=90.0),)}
    )
    array = place(turned, rig.array)
    assert np.diff(array.v_mm[:8]) == pytest.approx(0.4)


def test_habituation_dims_the_same_train_given_again():
    for name in ("human_v1_habituating", "van_der_grinten_2024"):
        world, _ = world_of(world=name)
        world.step(delivered(96, 60, 160))
        first = world.brightness().copy()
        for _ in range(10):
            world.step(delivered(96, 0, 2000, 0))
            world.step(delivered(96, 60, 160))
        assert first.any()
        assert (world.brightness()[first > 0] < 0.9 * first[first > 0]).all()


def test_an_unknown_world_and_a_wrong_key_are_one_line_with_a_remedy(tmp_path):
    with pytest.raises(ConfigError, match=r"no world named 'mars'; there are: .*human_v1"):
        load_world("mars")
    path = tmp_path / "w.yaml"
    path.write_text("name: w\nfoo: 1\n")
    with pytest.raises(ConfigError, match="unknown key 'foo'"):
        load_world(str(path))


def test_a_noiseless_participant_says_what_is_so():
    noises = ("criterion_sd", "lapse", "false_alarm", "pointing_sd_deg", "pointing_sd_per_deg", "rating_sd")
    world, _ = world_of(participant=dict.fromkeys(noises, 0.0))
    person = Participant(world, 0)
    electrode = int(np.flatnonzero(world.person.responsive)[0])
    only = np.zeros(96, np.float32)
    only[electrode] = 300
    train = delivered(96, 0, 160)
    person.attend()
    assert not person.seen()
    assert person.point() is None
    assert person.rate() == 0.0
    world.step(Delivered(1, 1, 0, train.dt_ns, only, train.pulse_width_us, train.pulses, train.slot))
    person.watch()
    assert person.seen()
    assert person.point() == pytest.approx((world.person.x_deg[electrode], world.person.y_deg[electrode]))
    assert person.rate() == pytest.approx(world.brightness()[electrode])


def test_a_noisy_participant_lapses_as_often_as_stated():
    world, _ = world_of(participant={"lapse": 0.2, "false_alarm": 0.0})
    person = Participant(world, 0)
    world.step(delivered(96, 100, 160))
    person.watch()
    answers = [person.seen() for _ in range(2000)]
    assert np.mean(answers) == pytest.approx(0.8, abs=0.03)


def test_an_interval_without_duration_changes_nothing():
    world, _ = world_of()
    world.step(delivered(96, 80, 160))
    before = world.state.activation.copy()
    world.step(delivered(96, 80, 0))
    assert np.array_equal(world.state.activation, before)


def test_size_is_a_quarter_of_the_activated_diameter_in_the_field():
    # Tehovnik 2006: P = 2 sqrt(I/K) / M; 0.170 deg across at 40 uA and 5 deg
    world, _ = world_of(interaction={"strength": 0.0})
    world.step(delivered(96, 40, 160))
    r = np.hypot(world.person.x_deg, world.person.y_deg)
    magnification = 17.3 * (1 / (r + 0.75) - 1 / (r + 120))
    inside = r > 0
    assert world.sigma_deg()[inside] == pytest.approx((2 * np.sqrt(40 / 675) / magnification / 4)[inside])


def test_a_phosphene_is_drawn_where_it_is_in_the_field():
    world, _ = world_of("argus60", scatter={"dropout": 0.0, "position_mm": 0.0})
    for electrode in (0, 9, 50, 59):
        only = np.zeros(60, np.float32)
        only[electrode] = 200
        train = delivered(60, 0, 160, width_us=450)
        world.step(delivered(60, 0, 10_000, 0))
        world.step(Delivered(1, 1, 0, train.dt_ns, only, train.pulse_width_us, train.pulses, train.slot))
        seen = world.percept(1, 1, 1)
        row, column = np.unravel_index(seen.image.argmax(), seen.image.shape)
        pixel_deg = seen.extent_deg[0] / 256
        x = seen.centre_deg[0] + (column + 0.5 - 128) * pixel_deg
        y = seen.centre_deg[1] - (row + 0.5 - 128) * pixel_deg
        assert (x, y) == pytest.approx((world.person.x_deg[electrode], world.person.y_deg[electrode]), abs=pixel_deg)


def test_activity_is_one_where_brightness_saturates_and_proportional_below():
    for name in ("human_v1", "van_der_grinten_2024"):
        world, _ = world_of(world=name, scatter={"dropout": 0.0})
        full = world.bright.reaching(0.99, world.person.threshold)
        world.state = replace(world.state, activation=full * np.linspace(0, 2, 96))
        assert world.activity() == pytest.approx(np.minimum(np.linspace(0, 2, 96), 1))
        assert world.brightness_of(full) == pytest.approx(0.99)


def test_dropouts_are_as_many_as_stated_and_evoke_nothing():
    world, _ = world_of("nhp1024", scatter={"dropout": 0.3, "position_mm": 0.0})
    assert world.person.responsive.mean() == pytest.approx(0.7, abs=0.06)
    world.step(delivered(1024, 100, 160))
    assert not world.brightness()[~world.person.responsive].any()


def test_an_electrode_scattered_off_the_map_evokes_nothing():
    rig = load_rig("utah96", uncalibrated=True)
    near = rig.config.implant.model_copy(update={"placements": (ArrayPlacement(x_mm=3.0, y_mm=0.0),)})
    config = load_world("human_v1")
    config = config.model_copy(update={"scatter": config.scatter.model_copy(update={"position_mm": 3.0})})
    world = World(config, place(near, rig.array), 0)
    assert 0 < world.person.responsive.sum() < 80
    assert (world.person.x_deg[world.person.responsive] > 0).all()


@pytest.mark.parametrize(
    ("rig_name", "world"),
    [("utah96", None), ("nhp1024", None), ("utah96", "van_der_grinten_2024")],
)
def test_the_compiled_percept_is_the_reference_of_brightness_and_size(rig_name, world):
    world, rig = world_of(rig_name, world=world)
    n = rig.electrodes
    random = np.random.default_rng(3)
    train = delivered(n, 0, 160, rig.config.modulator.rate_hz, rig.config.modulator.pulse_width_us)
    amplitude = random.uniform(0, 150, n).astype(np.float32)
    world.step(Delivered(1, 1, 0, train.dt_ns, amplitude, train.pulse_width_us, train.pulses, train.slot))
    percept = world.percept(1, 1, 1)
    (x, y), (wide, high) = percept.centre_deg, percept.extent_deg
    across, up = x + wide * np.linspace(-0.5, 0.5, 257), y + high * np.linspace(-0.5, 0.5, 257)
    sigma = np.maximum(world.sigma_deg(), 1e-6)
    image = render_reference(across, up, world.person.x_deg, world.person.y_deg, sigma, world.brightness())
    assert percept.visible == np.count_nonzero(world.brightness()) > n / 4
    assert np.abs(percept.image - image).max() < 4e-3


def test_elongated_phosphenes_give_as_much_light_as_round_ones():
    light = []
    for elongation in (1.0, 3.0):
        world, _ = world_of(scatter={"elongation": elongation, "dropout": 0.0})
        only = np.zeros(96, np.float32)
        only[40] = 120
        train = delivered(96, 0, 160)
        world.step(Delivered(1, 1, 0, train.dt_ns, only, train.pulse_width_us, train.pulses, train.slot))
        light.append(world.percept(1, 1, 1).image.sum())
    assert light[1] == pytest.approx(light[0], rel=1e-3)


def test_phosphenes_go_with_the_eyes_and_the_screen_stays():
    world, _ = world_of(gaze={"sd_deg": 2.0, "tau_s": 0.5})
    still, _ = world_of()
    seen = []
    for each in (world, still):
        for _ in range(5):
            each.step(delivered(96, 80, 33))
        seen.append(each.percept(1, 1, 1))
    assert seen[0].gaze_deg != (0.0, 0.0)
    assert seen[0].centre_deg == seen[1].centre_deg
    px = [g * 256 / e for g, e in zip(seen[0].gaze_deg, seen[0].extent_deg, strict=True)]
    rows, columns = np.indices((256, 256))

    def middle(image):
        return np.array([(columns * image).sum(), -(rows * image).sum()]) / image.sum()

    if max(map(abs, px)) < 15:  # nothing has left the screen
        assert middle(seen[0].image) - middle(seen[1].image) == pytest.approx(px, abs=0.05)
    assert px != [0.0, 0.0]


def test_the_walk_of_the_eyes_has_the_stated_spread_at_any_frame_rate():
    for dt_s in (0.01, 1.0):
        walk = Gaze(GazeConfig(sd_deg=1.5, tau_s=0.2), 0)
        places = []
        for _ in range(20_000):
            walk.step(dt_s)
            places.append(walk.deg[0])
        assert np.std(places) == pytest.approx(1.5, rel=0.1)


def test_a_retinal_percept_is_a_streak_along_the_nerve_fibres():
    world, rig = world_of("argus60", scatter={"dropout": 0.0, "position_mm": 0.0}, spread={"granley": False})
    only = np.zeros(60, np.float32)
    only[9] = 300  # the right end of the top row: far from the disc, on an arch
    train = delivered(60, 0, 250, rig.config.modulator.rate_hz, rig.config.modulator.pulse_width_us)
    world.step(Delivered(1, 1, 0, train.dt_ns, only, train.pulse_width_us, train.pulses, train.slot))
    image = world.percept(1, 1, 1).image
    rows, columns = np.nonzero(image > 0.5 * image.max())
    spread = np.sort(np.linalg.eigvalsh(np.cov(columns, rows)))
    assert image.max() > 0.2
    assert spread[1] > 2 * spread[0]


def test_an_axon_map_on_a_cortex_is_refused():
    config = load_world("human_v1")
    streaks = load_world("retina_argus").spread
    rig = load_rig("utah96", uncalibrated=True)
    with pytest.raises(ConfigError, match="key 'spread': axon_map needs a retina"):
        World(config.model_copy(update={"spread": streaks}), place(rig.config.implant, rig.array), 0)


def test_an_image_moves_by_whole_pixels_and_black_comes_in():
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert shifted(image, 1, -1).tolist() == [[0, 0, 0, 0], [1, 2, 3, 0], [5, 6, 7, 0]]
    assert not shifted(image, 3, 0).any()


@pytest.mark.parametrize(("plain", "recorded"), [("human_v1", "human_v1_sites"), ("macaque_v1", "macaque_v1_sites")])
def test_a_world_whose_sites_are_known_is_otherwise_the_plain_one(plain, recorded):
    own = {"name", "summary", "sites"}
    assert load_world(recorded).model_dump(exclude=own) == load_world(plain).model_dump(exclude=own)
    assert load_world(recorded).sites is not None
