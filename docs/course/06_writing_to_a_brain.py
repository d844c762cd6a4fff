# %% [markdown]
# # 6. Writing to a brain, and reading back what was written
#
# The last step closes the whole loop. A picture becomes a machine code; the bijection says what activity a *sighted*
# brain would show at 96 electrodes; currents are found that should evoke it; the guard, the link and the implant have
# their say; the tissue answers; the array records that answer; and the same map reads it back and paints it.
#
# **A research simulator.** Nobody can ask a blind person's cortex what it would do if it saw. The map is fitted to a
# *simulated sighted* population at the same sites, and how far a real patient's cortex differs is not known
# ([more](../writing.md)).
#
# You need `pip install 'prosthesis[laptop,train]'`. The pictures are patches of photographs that come with it.

# %%
import numpy as np
import torch
from show import plt, row

from prosthesis.config import load_rig
from prosthesis_train.artefacts import load_artefact
from prosthesis_train.data.photographs import photographs
from prosthesis_train.studies.braincodes.writing import Stage, arms, encode, fit_patient
from prosthesis_train.studies.generators import tiled

rig, artefact = load_rig("utah96_latent"), load_artefact("bigbigan-scenes")
data = photographs(32, 3, train=2000, test=16)
patient = fit_patient(rig, 0, artefact, data.train)
code_map, sites = patient.code_map, patient.sites
print(f"{rig.electrodes} electrodes, {len(sites)} in use; codes of {code_map.d} numbers")

# %% [markdown]
# ## What is wanted
#
# The map asks for rates. A current can only *raise* activity: wherever a sighted cell would fall below its
# spontaneous rate, the wish is lost.

# %%
codes = encode(artefact, data.test)
rest = patient.brain.spontaneous_hz[sites]
wanted = code_map.to_brain(codes) - rest
impossible = float((wanted < 0).mean())
figure, ax = plt.subplots(figsize=(6, 2.4))
ax.hist(wanted.ravel(), 80, color="#0072B2")
ax.axvspan(wanted.min(), 0, color="#D55E00", alpha=0.2)
ax.set(
    xlabel="wanted rate above spontaneous (Hz)", ylabel="site x picture", title=f"{impossible:.0%} cannot be written"
)
figure.tight_layout()

# %% [markdown]
# ## Through the whole path
#
# Each picture is held for 200 ms of video: translator, modulator, guard, sealed link, implant, pulses, tissue, all in
# simulated time. Four ways are compared:
#
# - **code map**: an exact map, with currents solved for *together*, for neighbours that pulse together add to each
#   other;
# - **code map, curves alone**: the same wishes, each electrode set as if it were alone;
# - **scrambled map** (control): the same rates at the wrong sites;
# - **retinotopic luminance**: what today's prostheses do, brightness to brightness, no code at all.

# %%
from prosthesis_sim.loop import rowwise_r

evoked = {}
for arm in arms(patient, seed=0, every=True):
    stage = Stage(patient)
    evoked[arm.name] = np.stack([stage.show(arm, arm.code(z, p)) for z, p in zip(codes, data.test, strict=True)])[
        :, sites
    ]
figure, axes = plt.subplots(1, 4, figsize=(12, 3), sharex=True, sharey=True)
for ax, (name, hz) in zip(axes, evoked.items(), strict=True):
    ax.plot(wanted.ravel(), hz.ravel(), ".", ms=2, color="#0072B2")
    ax.plot([0, 60], [0, 60], "k:", lw=1)
    r = np.nan_to_num(rowwise_r(wanted.T, hz.T)).mean()
    ax.set(title=f"{name}\nr by site {r:.2f}", xlabel="wanted (Hz)")
axes[0].set_ylabel("evoked (Hz)")
figure.tight_layout()

# %% [markdown]
# ## Read back and painted
#
# The array records what it evoked; the map turns that into a code; the generator paints the code. Five rows: the
# picture; its code painted, the best that could come; what the sighted brain's own answers would read as; what was
# written, read back; and the control.

# %%
sighted = patient.brain.rates_hz((data.test @ np.array([0.2126, 0.7152, 0.0722]) / 255).astype(np.float32))[:, sites]


def painted(z):
    """Return G(z) f32[n, 3, 32, 32]."""
    return artefact.generate(torch.from_numpy(np.asarray(z, np.float32)))


rows = [
    torch.from_numpy(data.test).permute(0, 3, 1, 2).float() / 127.5 - 1,
    painted(codes),
    painted(code_map.to_machine(sighted)),
    painted(code_map.to_machine(evoked["code map"] + rest)),
    painted(code_map.to_machine(evoked["scrambled map"] + rest)),
]
row(
    [tiled(torch.cat(rows), 16)],
    ["picture; its code; read from sight; written and read back; the scrambled map"],
    inches=3.4,
)
for name, hz in evoked.items():
    back = code_map.to_machine(hz + rest)
    r = np.nan_to_num(rowwise_r(codes.T, back.T)).mean()
    print(f"{name:26} code read back, mean r over its {code_map.d} numbers: {r:+.2f}")

# %% [markdown]
# ## On the sites
#
# The same for one picture, on the array. What is asked for and what comes differ where neighbours spill over, where
# the guard or the stimulator caps a current, and where less than nothing was wanted.

# %%
x, y = (np.asarray(rig.calibration.column(name))[sites] for name in ("x_deg", "y_deg"))
figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), sharey=True)
shown = {"sighted": sighted[0] - rest, "wanted": wanted[0], "evoked: code map": evoked["code map"][0]}
shown |= {"evoked: scrambled": evoked["scrambled map"][0]}
for ax, (name, hz) in zip(axes, shown.items(), strict=True):
    drawn = ax.scatter(x, y, c=hz, s=40, cmap="RdBu_r", vmin=-40, vmax=40)
    ax.set(title=name, xlabel="degrees right", aspect="equal")
axes[0].set_ylabel("degrees above")
figure.colorbar(drawn, ax=axes, label="Hz above spontaneous", shrink=0.8)
plt.show()

# %% [markdown]
# ## What this shows, and what not
#
# The map's wishes arrive, and can be read back; the same rates at the wrong sites read back as next to nothing. What
# does not follow: that a person would *see* the picture. Cells of different tuning lie at one site and are driven
# together; the code map knows one rate a site; and nobody has yet written a code to a human cortex.
#
# The same loop, live from a camera and as a film: `prosthesis demo --loop`. The figures over three brains and three
# sets of pictures, at 96 and at 1,024 electrodes: [results](../results/braincodes.md).
#
# ## Exercises
#
# 1. Do the neighbours hear an electrode that is driven alone? Look at one site wanted at 0.8 of its most, all others
#    at 0.
# 2. How near do evoked rates come to the *sighted brain's own* answers, rather than to the map's wishes? Which loss
#    is larger: the map's or the stimulation's?
# 3. Show each picture for 400 ms instead of 200 (`writing.HELD`). Does the reading improve?
#
# ## Answers

# %%
from prosthesis.messages import BrainCode, readonly
from prosthesis_train.studies.braincodes import writing


class Only:
    """A translator that asks for one site and nothing else."""

    def __init__(self, site):
        self.activity = np.zeros(rig.electrodes, np.float32)
        self.activity[site] = 0.8

    def translate(self, code):
        """Return the wish, whatever the code."""
        return BrainCode(code.seq, code.t_ns, readonly(self.activity, np.float32), 0)


best = arms(patient, 0, every=False)[0]
middle = int(np.argmin(np.hypot(x - x.mean(), y - y.mean())))
one = writing.Arm("one site", Only(sites[middle]), best.modulator, best.code)
alone = Stage(patient).show(one, one.code(codes[0], data.test[0]))[sites]
near = np.argsort(np.hypot(x - x[middle], y - y[middle]))[:5]
asked = 0.8 * rig.calibration.column("evoked_hz")[sites[middle]]
print(
    f"1. asked for {asked:.1f} Hz; the site and its four neighbours: "
    + ", ".join(f"{hz:.1f}" for hz in alone[near])
    + " Hz"
)
by_map, by_both = (np.nan_to_num(rowwise_r((sighted - rest).T, hz.T)).mean() for hz in (wanted, evoked["code map"]))
print(f"2. with the sighted brain's own rates: the map's wishes r {by_map:.2f}, what was evoked r {by_both:.2f}")
writing.HELD = 12
stage = Stage(patient)
longer = np.stack([stage.show(best, best.code(z, p)) for z, p in zip(codes, data.test, strict=True)])[:, sites]
r6, r12 = (np.nan_to_num(rowwise_r(wanted.T, hz.T)).mean() for hz in (evoked["code map"], longer))
print(f"3. evoked against wanted by site: r {r6:.2f} after 200 ms, {r12:.2f} after 400 ms")

# %% [markdown]
# 1\. Alone, an electrode reaches its site and hardly anything else at this distance (0.4 mm); together, in one raster
# slot, neighbours add to each other's current. 2\. Stimulation loses nearly nothing here: what is lost is lost
# between the sighted answers and the map, which knows of a picture only what 80 numbers say. Better codes and maps,
# not more current.
