# %% [markdown]
# # 4. The bijection: one map that reads *and* writes
#
# A reader needs a map from responses to codes, a prosthesis one from codes to responses. Must they be two maps? Two
# maps fitted apart contradict each other: what one writes, the other does not read back. This project looks for
# **one** map f with an exact inverse, good in both directions.
#
# You need `pip install 'prosthesis[laptop,train]'` and Fashion-MNIST (notebook 1 says how).

# %%
import numpy as np
import torch
from show import plt, row

from prosthesis_sim.brain import counts, frozen_brain
from prosthesis_train.artefacts import load_artefact
from prosthesis_train.data.images import open_images
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.reading.linear import canonical
from prosthesis_train.reading.maps import fit_map
from prosthesis_train.reading.judging import judge, round_trip
from prosthesis_train.reading.painters import gray
from prosthesis_train.scores.card import in_batches
from prosthesis_train.studies.generators import tiled

model, data, random = load_artefact("bigbigan-fashion"), open_images("fashion", 32, 1), np.random.default_rng(0)
brain, n = frozen_brain("tuned600", seed=0), 4000


def codes_of(images):
    """Return the machine codes f64[n, 80] of pictures u8[n, 32, 32, 1]."""
    return in_batches(lambda x: model.encode(x)[0], to_float(images)).numpy().astype(np.float64)


def answers(images):
    """Return measured rates f64[n, 600] in Hz: one trial of 200 ms each."""
    return counts(brain.rates_hz(gray(images)), 0.2, random) / 0.2


own = codes_of(data.train[:n]), answers(data.train[:n])
test = codes_of(data.test[:600]), answers(data.test[:600])

# %% [markdown]
# ## Two sizes that do not fit
#
# z has 80 numbers, a response r has 600. A one-to-one map needs as many on both sides, so the response is split: q,
# the 80 numbers that are *about* the code, and u, the rest, its **nuisance**: the noise, and whatever these cells do
# that the code does not say.
#
# **f : (z, u) ↔ r**, with **q = r L** and **u = r − q M**
#
# Which 80 directions L are about the code? *Canonical correlation* finds, pair by pair, the direction of the codes
# and the direction of the responses that correlate most.

# %%
pairs = canonical(*own, 0.05)
z, q = own[0], own[1]
half = pairs.at(0.0)
left, right = (test[0] - half.machine_mean) @ half.machine_code, (test[1] - half.brain_mean) @ half.brain_code
c = [abs(np.corrcoef(a, b)[0, 1]) for a, b in zip(left.T, right.T, strict=True)]
figure, ax = plt.subplots(figsize=(5.5, 2.4))
ax.plot(c, ".-", color="#0072B2")
ax.set(xlabel="canonical pair", ylabel="correlation on unseen trials", ylim=(0, 1))
figure.tight_layout()

# %% [markdown]
# The first pairs are shared almost perfectly; the last hardly at all. 200 ms of spikes say nothing of them.
#
# ## Why no exact linear map can be best at both
#
# Take one pair, both sides with variance 1, correlated by c. The best guess of the response from the code is c times
# it; the best guess of the code from the response is also c times it. But the inverse of "times c" is "times 1/c"! An
# exact map must choose: c to the power p encodes best at p = 1 and decodes best at p = -1. Let us walk from one to
# the other.

# %%
exponents = np.linspace(1, -1, 9)
path = [judge(pairs.at(p), *test, own) for p in exponents]
named = {kind: fit_map(kind, *own) for kind in ("ols", "gls", "procrustes", "bijection")}
judged = {kind: judge(found, *test, own) for kind, found in named.items()}
figure, ax = plt.subplots(figsize=(7, 4))
ax.plot(
    [j.mean_r for j in path],
    [j.latent_error for j in path],
    "o-",
    color="#8c8c8c",
    label="exact linear maps, p from 1 to -1",
)
for p, j in zip(exponents[::4], path[::4], strict=True):
    ax.annotate(f"p = {p:g}", (j.mean_r, j.latent_error), xytext=(5, 5), textcoords="offset points", fontsize=8)
for (kind, j), mark in zip(judged.items(), "sD^*", strict=True):
    ax.plot(j.mean_r, j.latent_error, mark, ms=13 if mark == "*" else 8, label=kind)
ax.set(
    xlabel="encoding: mean r over cells (right is better)",
    ylabel="decoding: latent error (down is better)",
    yscale="log",
)
ax.legend(fontsize=9)
figure.tight_layout()
for kind, j in judged.items():
    print(f"{kind:12} latent error {j.latent_error:8.3f}   encoding r {j.mean_r:.3f}")

# %% [markdown]
# - **ols** regresses responses on codes and inverts by pseudo-inverse (Mozafari et al. 2020): the best encoder there
#   is, and a useless decoder, for it divides noise by almost nothing.
# - **gls** knows the noise's covariance: same encoder, better inverse.
# - **procrustes** turns and scales, no more.
# - **bijection** (star): *couplings*, small networks each undone exactly, on a canonical start, trained in both
#   directions at once. It leaves the line of linear maps only where cells are not linear in the code and trials are
#   many.
#
# ## "Exact" is cheap
#
# Every one of these goes there and back without loss, if you keep the nuisance. Even to twelve digits. That shows
# that the arithmetic is right, and nothing else: it would be as exact for a brain that was never shown a picture.

# %%
shuffled = fit_map("gls", own[0][random.permutation(n)], own[1])
for name, found in (("gls", named["gls"]), ("bijection", named["bijection"]), ("gls of SHUFFLED trials", shuffled)):
    back = round_trip(found, *test)
    j = judge(found, *test, own)
    print(f"{name:24} round trip, worst {max(back.machine_max, back.brain_max):.0e} sd;  encoding r {j.mean_r:.3f}")

# %% [markdown]
# So a map is judged on unseen trials with the nuisance *not* kept: at its mean, or drawn from another trial.
#
# ## Both directions in pictures

# %%
some, best = slice(0, 12), named["bijection"]


def painted(codes):
    """Return G(codes) f32[n, 1, 32, 32]."""
    return in_batches(model.generate, torch.from_numpy(codes.astype(np.float32)))


read = painted(best.to_machine(test[1][some]))
written = best.to_brain(test[0][some])  # what the map asks the cells to do
again = painted(best.to_machine(written))
sheet = torch.cat([to_float(data.test[some]), read, again])
row([tiled(sheet, 12)], ["seen; read from spikes; written to cells and read back, no noise between"], inches=2.8)
order = np.argsort(-brain.most_hz)[:60]
expected = brain.rates_hz(gray(data.test[some]))
row(
    [a[:, order] / a[:, order].max() for a in (expected, written.clip(0))],
    ["what 60 cells do (12 pictures, one a row)", "what the map would ask of them"],
    inches=1.2,
)

# %% [markdown]
# ## A response leaves many codes possible
#
# One response, one decoded code: but the response was noisy, so the code is not certain. `posterior` fits how
# decoding errors fall, on trials that the map has not seen, and draws codes that *could* have been. A claim like "90
# %" must be checked.

# %%
from prosthesis_train.reading.posterior import coverage, fit_posterior

posterior = fit_posterior(best, test[0][:300], test[1][:300])
later = test[0][300:], test[1][300:]
draws = posterior.sample(later[1][:4], 7, random)
rows = [
    torch.cat(
        [to_float(data.test[300 + k : 301 + k]), painted(best.to_machine(later[1][k : k + 1])), painted(draws[:, k])]
    )
    for k in range(4)
]
row([tiled(torch.cat(rows), 9)], ["seen; decoded; seven codes that the response leaves possible"], inches=3.6)
each, joint = coverage(posterior, *later, level=0.9)
print(f"a 90 % interval holds the number in {each:.1%} of cases, the 90 % ellipsoid the whole code in {joint:.1%}")

# %% [markdown]
# ## Exercises
#
# 1. Fit `gls` and `bijection` to 300 trials only. Is the bijection still better at decoding, and what does it pay?
#    What would `fit_map("chosen", ...)` do?
# 2. The brain `utah96` has 96 sites, all in a patch of 1.5 degrees. How many canonical pairs correlate above 0.3
#    there?
# 3. Write the code of a picture with the map of *another* brain (seed 1), read it with the right one. What comes
#    back?
#
# ## Answers

# %%
few = own[0][:300], own[1][:300]
for kind in ("gls", "bijection"):
    j = judge(fit_map(kind, *few), *test, few)
    print(f"1. 300 trials, {kind:10} latent error {j.latent_error:6.3f}   encoding r {j.mean_r:.3f}")

# %%
patch = frozen_brain("utah96", seed=0)
there = [counts(patch.rates_hz(gray(part)), 0.2, random) / 0.2 for part in (data.train[:n], data.test[:600])]
found = canonical(own[0], there[0], 0.05).at(0.0)
left, right = (test[0] - found.machine_mean) @ found.machine_code, (there[1] - found.brain_mean) @ found.brain_code
c96 = [abs(np.corrcoef(a, b)[0, 1]) for a, b in zip(left[:, : found.shared].T, right.T, strict=True)]
print(
    f"2. above 0.3: {sum(x > 0.3 for x in c96)} of {len(c96)} pairs at 96 sites, {sum(x > 0.3 for x in c)} at 600 cells"
)
other = frozen_brain("tuned600", seed=1)
theirs = fit_map("gls", own[0], counts(other.rates_hz(gray(data.train[:n])), 0.2, random) / 0.2)
wrong = painted(best.to_machine(theirs.to_brain(test[0][some])))
row([tiled(torch.cat([to_float(data.test[some]), wrong]), 12)], ["3. written with another brain's map"], inches=1.9)

# %% [markdown]
# 1\. It still decodes better, and pays with a share of the encoding; with so few trials couplings are little more
# than their linear start. `chosen` compares by cross-validation within the trials, and up to 2,000 of them tries
# linear maps only. 3\. Every brain has its own map: what is a shoe to one is noise to another.
