# %% [markdown]
# # 0. A first percept
#
# A visual prosthesis turns a camera's pictures into currents, and currents into spots of light, *phosphenes*, which a
# blind person sees. In this notebook you are the whole device: you carry one picture through eight hops, from the
# street to the cortex of a simulated patient. **This is a research simulator, not a medical device.**
#
# You need `pip install 'prosthesis[laptop]'`. Everything runs on one core of a laptop in less than a minute.

# %%
import numpy as np
from show import plt, row

from prosthesis.config import load_rig
from prosthesis.messages import Refusal
from prosthesis.timing import NS_PER_S, ManualClock

# %% [markdown]
# ## The patient
#
# A *rig* names everything: camera, encoder, array, stimulator, link and the *world*, which is the simulated patient.
# This one has 16 arrays of 64 electrodes in the left visual cortex. Where on the cortex an electrode lies decides
# where in the visual field its phosphene is seen: the cortex is a distorted map of the field. Each blue disc below is
# one phosphene.

# %%
from prosthesis_sim.gallery import choice_of
from prosthesis_sim.gallery_scene import Scene

rig = load_rig("nhp1024")
scene = Scene(*choice_of("utah64"))  # the array and world of that rig
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.4))
scene.draw_array(left)
scene.draw_map(right)
figure.tight_layout()
print(f"{rig.electrodes} electrodes; {scene.seen.sum()} of them evoke a phosphene")

# %% [markdown]
# All lie to the *right* of the place looked at: the left hemisphere sees the right half of the world. They are small
# near that place and large far from it: most of the cortex looks at the centre.
#
# ## Hops 1 and 2: a camera frame becomes a machine code
#
# The encoder is a network that keeps what matters for a task. This rig's keeps edges, as a map of 32 x 32 numbers.

# %%
from prosthesis.cameras import open_camera
from prosthesis.encoders import open_encoder
from prosthesis.view import make_view

clock = ManualClock(NS_PER_S)  # simulated time: nothing here waits
view = make_view(rig.config.view, rig.config.camera, rig.calibration)
encoder = open_encoder(rig.config.encoder, view, rig.calibration)
camera = open_camera(rig.config.camera, clock)
frame = camera.read(1.0)
code = encoder.encode(frame, clock.now_ns())
row([frame.rgb, code.values.reshape(code.shape)], ["1. camera", f"2. machine code: {rig.config.encoder.model}"])

# %% [markdown]
# ## Hops 3, 4 and 5: activity, currents, and the guard
#
# The *translator* asks, for each electrode, how active the cortex should be there: it looks at the map at the place
# of that electrode's phosphene. The *modulator* turns activity into current by what calibration measured of this
# patient. The *guard* has the last word: it never raises a current, and may lower it.

# %%
from prosthesis.limits import guard_limits
from prosthesis.modulator import PulseModulator
from prosthesis.safety import Guard
from prosthesis.translators.retinotopic import RetinotopicTranslator

modulator, guard = PulseModulator(rig), Guard(guard_limits(rig))
brain = RetinotopicTranslator(rig.calibration, view, code.shape).translate(code)
wanted = modulator.modulate(brain)
allowed, interventions, _ = guard.allow(wanted, guard.initial(), 1 / 30)

x, y = (rig.calibration.column(name) for name in ("x_deg", "y_deg"))
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True)
for ax, values, title in (
    (axes[0], brain.activity, "3. brain code: wanted activity, 0 to 1"),
    (axes[1], allowed.amplitude_ua, "4, 5. allowed current (uA)"),
):
    drawn = ax.scatter(x, y, c=values, s=9, cmap="magma")
    ax.set(title=title, xlabel="degrees right of where one looks", facecolor="black", aspect="equal")
    figure.colorbar(drawn, ax=ax, shrink=0.8)
axes[0].set_ylabel("degrees above")
figure.tight_layout()
for found in interventions:
    print(f"guard, {found.tier}: {found.rule} {found.worst:.3g} {found.unit} on {found.electrodes} electrodes")

# %% [markdown]
# "Advisory" means: reported, not enforced. Published human thresholds lie above the charge that is known to be safe
# in animals; a guard that enforced that would show nothing, and one that kept silent about it would lie.
#
# ## Hops 6, 7 and 8: the air, the implant, and the percept
#
# The pattern is sealed and sent. The implant is silent until it is armed, checks its own limits, and makes pulses.
# Then the simulated cortex answers.

# %%
from prosthesis_sim.measure import connect
from prosthesis_sim.patient import load_world

emulator, session = connect(rig, load_world(rig.config.world), patient=0, clock=clock)


def send(pattern, seq):
    """Send one pattern and live for a thirtieth of a second."""
    now_ns = clock.now_ns()
    session.send(session.seal(seq, now_ns, modulator.codes(pattern)))
    clock.sleep_until(now_ns + NS_PER_S // 30)
    while session.receive() is not None:
        pass


seq = 0
while session.arm().refusal is not Refusal.NONE:  # an implant that was stopped wants valid silent frames first
    seq += 1
    send(modulator.silent(seq, clock.now_ns()), seq)
for _ in range(8):
    seq += 1
    send(allowed, seq)
percept = emulator.world.percept(seq, 0, 0)
row(
    [code.values.reshape(code.shape), percept.image],
    ["2. machine code", f"8. percept: {percept.visible} phosphenes"],
    inches=3.2,
)

# %% [markdown]
# That is what this person would see: edges of a street, in the right half of the field, as spots of light. Which
# pictures survive such a channel, and what a network should keep of them, is what the rest of this course is about.
#
# ## The letter E, with other implants
#
# The same letter through four arrays, each in the patient it is placed in. The orange outline is where the letter
# should be. (All arrays are in the [gallery](../gallery.md).)

# %%
figure, axes = plt.subplots(1, 4, figsize=(13, 3.6))
for ax, name in zip(axes, ("argus2", "utah96", "utah64", "prima378"), strict=True):
    one = Scene(*choice_of(name))
    one.step(on=True)
    visible, match = one.draw_percept(ax, name)
    ax.set_title(f"{name}: {visible} spots, match {match:.2f}", fontsize=10)
    ax.set_ylabel("")
figure.tight_layout()

# %% [markdown]
# ## Exercises
#
# 1. Double the current everywhere (`wanted` with twice the amplitude). How many electrodes does the guard turn down?
# 2. Another person with the same array has other thresholds and other dead electrodes. Look at patient 7 with *this*
#    patient's calibration: how much of the percept is left? (`connect(..., patient=7)`)
# 3. Send the pattern for three seconds instead of a quarter of one. Is the percept the same?
#
# ## Answers

# %%
from dataclasses import replace

twice = replace(wanted, amplitude_ua=2 * wanted.amplitude_ua)
less, found, _ = guard.allow(twice, guard.initial(), 1 / 30)
print(f"1. {np.count_nonzero(less.amplitude_ua < twice.amplitude_ua)} of {np.count_nonzero(twice.amplitude_ua)} driven")
for one in found:
    print(f"   {one.tier}: {one.rule}, on {one.electrodes}: worst {one.worst:.3g}, limit {one.limit:.3g} {one.unit}")


# %%
def shown(patient, seconds):
    """Return what a patient sees at the end of so many seconds of the same pattern."""
    global clock, session
    clock = ManualClock(NS_PER_S)
    person, session = connect(rig, load_world(rig.config.world), patient, clock)
    seq = 0
    while session.arm().refusal is not Refusal.NONE:
        seq += 1
        send(modulator.silent(seq, clock.now_ns()), seq)
    for _ in range(round(30 * seconds)):
        seq += 1
        send(allowed, seq)
    return person.world.percept(seq, 0, 0)


other, later = shown(7, 0.27), shown(0, 3.0)
row(
    [percept.image, other.image, later.image],
    [f"patient 0: {percept.visible}", f"2. patient 7: {other.visible}", f"3. after 3 s: {later.visible}"],
)

# %% [markdown]
# 2\. Thresholds differ from person to person, so one person's calibration drives another's electrodes too little or
# too much: *calibration is part of the device*. 3\. This patient's brightness settles and stays; whether real ones
# fade within seconds of video is not known ([the fit to published data](../results/human_cortex.md) would say so, for
# trains given 3 % of the time; `--world human_v1_habituating` is such a patient).
