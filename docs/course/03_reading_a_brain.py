# %% [markdown]
# # 3. Reading a brain, and its controls
#
# Someone looks at a picture; their visual cortex answers with spikes. Can we paint what they saw? Yes: decode the
# machine code from the spikes, and let the generator paint it. But a generator paints beautiful pictures of
# *anything*, so this notebook is mostly about controls.
#
# The brain here is simulated: 600 model cells of primary visual cortex ([what they do](../brains.md)). For real
# recordings the same code applies ([how to bring yours](../responses.md)).
#
# You need `pip install 'prosthesis[laptop,train]'` and Fashion-MNIST (notebook 1 says how).

# %%
import numpy as np
import torch
from show import plt, row

from prosthesis_sim.brain import counts, frozen_brain, noise_ceiling, spike_trains
from prosthesis_train.artefacts import load_artefact
from prosthesis_train.data.images import open_images
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.reading.painters import gray
from prosthesis_train.studies.generators import tiled

brain, data, random = frozen_brain("tuned600", seed=0), open_images("fashion", 32, 1), np.random.default_rng(0)

# %% [markdown]
# ## What a cell sees
#
# Each model cell has a *receptive field*: a patch of the picture, an orientation, a spatial frequency. Its rate is
# high when its patch holds edges of its kind. Here are three cells' spikes to ten pictures, 20 presentations each.

# %%
pictures = gray(data.test[:10])
rates_hz = brain.rates_hz(pictures)
three = np.argsort(-rates_hz.std(0))[:3]
figure, axes = plt.subplots(1, 3, figsize=(12, 3), sharey=True)
trials = np.repeat(np.arange(10), 20)
spikes = spike_trains(rates_hz[trials][:, three], brain.spontaneous_hz[three], 0.2, random)
for k, ax in enumerate(axes):
    own = spikes.site == k
    ax.plot(1000 * spikes.t_s[own], spikes.trial[own], "k|", ms=2)
    ax.set(xlabel="ms after the picture came", title=f"cell {three[k]}")
axes[0].set(yticks=np.arange(10) * 20 + 10, yticklabels=range(10), ylabel="picture")
figure.tight_layout()
row([tiled(to_float(data.test[:10]), 10)], ["the ten pictures"], inches=1.2)

# %% [markdown]
# Spikes are noisy: the same picture gets another count every time. How well could *anything* predict a cell's counts?
# The *noise ceiling* is the correlation of one trial with the mean that it scatters about. No reader can be blamed
# for what lies above it.

# %%
test = gray(data.test[:400])
repeats = np.stack([counts(brain.rates_hz(test), 0.2, random) for _ in range(4)])
ceiling = noise_ceiling(repeats)
alive = repeats.std((0, 1)) > 0
figure, ax = plt.subplots(figsize=(5.5, 2.4))
ax.hist(ceiling[alive], 40, color="#0072B2")
ax.set(xlabel="noise ceiling of a cell (4 trials of 200 ms)", ylabel="cells")
figure.tight_layout()
print(f"{alive.sum()} of {brain.n} cells fire at all; median ceiling {np.median(ceiling[alive]):.2f}")

# %% [markdown]
# ## The reader
#
# 3,000 training pictures are shown once each. A *ridge regression* maps 600 spike counts to the 80 numbers of the
# machine code; how strongly it is held back is chosen by leave-one-out on the training trials. Then the generator
# paints.

# %%
from prosthesis_train.scores.card import in_batches
from prosthesis_train.studies.braincodes.controls import Ridge

model, n = load_artefact("bigbigan-fashion"), 3000


def codes_of(images):
    """Return the machine codes f64[n, 80] of pictures u8[n, 32, 32, 1]."""
    return in_batches(lambda x: model.encode(x)[0], to_float(images)).numpy().astype(np.float64)


train_codes, test_codes = codes_of(data.train[:n]), codes_of(data.test[:400])
train_rates = counts(brain.rates_hz(gray(data.train[:n])), 0.2, random)[:, alive] / 0.2
test_rates = repeats[0][:, alive] / 0.2
reader = Ridge(train_rates)
decoded = reader.read(train_codes, test_rates)


def painted(codes):
    """Return G(codes) f32[n, 1, 32, 32]."""
    return in_batches(model.generate, torch.from_numpy(codes.astype(np.float32)))


shown = to_float(data.test[:400])
first = slice(0, 16)
sheet = torch.cat([shown[first], painted(test_codes[first]), painted(decoded[first])])
row([tiled(sheet, 16)], ["seen; G(E(x)), the best the code can do; read from 200 ms of spikes"], inches=2.3)

# %% [markdown]
# ## The controls
#
# Impressive? Compare with readers that know *nothing* of the brain:
#
# - the same answers, **pairs permuted**: each picture gets another picture's reconstruction;
# - a **random code**: the generator paints what it likes;
# - the **mean code**: always the same picture.
#
# The reader's card scores every row alike. Scores *of sets* (the Frechet distance) compare two heaps of pictures;
# scores *of pairs* ask which picture belongs to which, and each has its null: what random orders of the same answers
# get.

# %%
from IPython.display import Markdown

from prosthesis_train.scores.features import own_classifier
from prosthesis_train.scores.reader import Reading, reader_card

reading = Reading(
    name="ridge reader",
    shown=shown.numpy(),
    true_codes=test_codes.astype(np.float32),
    decoded_codes=decoded,
    training_trials=n,
    responses=repeats[1:][:, :, alive],
    labels=data.test_labels[:400],
)
network = own_classifier()
card = reader_card(reading, model.model(), network, seed=0, permutations=100)
names = [line.condition for line in card.rows]
of_set, of_pairs = card.distance, "2AFC codes"
figure, axes = plt.subplots(1, 2, figsize=(11, 2.8), sharey=True)
for ax, score, chance in ((axes[0], of_set, None), (axes[1], of_pairs, 0.5)):
    values = [line.scores[score].value if score in line.scores else np.nan for line in card.rows]
    ax.barh(range(len(names)), values, color=["#8c8c8c"] * 2 + ["#0072B2"] + ["#D55E00"] * (len(names) - 3))
    ax.set(yticks=range(len(names)), yticklabels=names, title=score)
    if chance:
        ax.axvline(chance, color="black", lw=0.8, ls="--")
axes[0].invert_yaxis()
axes[0].set_xlabel("of the set: less is better")
axes[1].set_xlabel("of pairs: 1 is perfect, 0.5 chance")
figure.tight_layout()
Markdown("| condition | verdict |\n|---|---|\n" + "\n".join(f"| {r.condition} | {r.verdict} |" for r in card.rows))

# %% [markdown]
# Look at the left plot again. The permuted pairs have *exactly* the reader's distance, for it is the same heap of
# pictures. And a random code, which has never met a brain, is hardly worse: its pictures look like clothes, and no
# more is asked. **A Frechet distance cannot show that something was read.** Only scores of pairs can, and only beside
# their controls.
#
# ## More trials, fewer cells
#
# How much does a reader owe to the number of trials and of cells? *Latent error* is the squared error of decoded
# codes as a share of their variance: 1 is what always guessing the mean would get.

# %%
from prosthesis_train.reading.judging import latent_error

figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True)
trials = (125, 250, 500, 1000, 2000, 3000)
errors = [latent_error(Ridge(train_rates[:k]).read(train_codes[:k], test_rates), test_codes) for k in trials]
axes[0].semilogx(trials, errors, "o-", color="#0072B2", base=2)
axes[0].set(xlabel="training trials", ylabel="latent error", ylim=(0, 1.05), xticks=trials, xticklabels=trials)
cells = (10, 30, 100, 300, int(alive.sum()))
order = random.permutation(alive.sum())
errors = [
    latent_error(Ridge(train_rates[:, order[:k]]).read(train_codes, test_rates[:, order[:k]]), test_codes)
    for k in cells
]
axes[1].semilogx(cells, errors, "o-", color="#0072B2")
axes[1].set(xlabel="cells", xticks=cells, xticklabels=cells)
for ax in axes:
    ax.minorticks_off()
figure.tight_layout()

# %% [markdown]
# ## Exercises
#
# 1. Fit the reader to *permuted* training pairs, ten times over, and take each one's 2AFC. Are all of them 0.5?
# 2. Read the mean of all four presentations instead of one. How much does the latent error fall?
# 3. The cells answer only the contrast of their patch. Which of a picture's properties can no reader of these cells
#    know? Look at pictures whose brightness you inverted.
#
# ## Answers

# %%
from prosthesis_train.scores.two_afc import two_afc

blind = [reader.read(train_codes[random.permutation(n)], test_rates) for _ in range(10)]
shares = [two_afc(torch.from_numpy(test_codes), torch.from_numpy(codes)) for codes in blind]
found = np.array([share.share for share in shares])
print(f"1. fitted to permuted pairs: {found.min():.3f} to {found.max():.3f}, mean {found.mean():.3f}")
print(f"   the first one's own interval, over pictures: {shares[0].low:.3f} to {shares[0].high:.3f}")
mean_rates = repeats.mean(0)[:, alive] / 0.2
one, four = (latent_error(reader.read(train_codes, r), test_codes) for r in (test_rates, mean_rates))
print(f"2. latent error of one trial {one:.3f}, of the mean of four {four:.3f}")
same = brain.rates_hz(test[:100])[:, alive]
other = brain.rates_hz(1 - test[:100])[:, alive]
r = [np.corrcoef(a, b)[0, 1] for a, b in zip(same, other, strict=True)]
print(f"3. rates to a picture and to its negative correlate by {np.mean(r):.2f} over cells")

# %% [markdown]
# 1\. Their mean is near 0.5, but single ones lie farther from it than an interval over pictures allows: a wrong map
# still keeps alike what is alike, and is right or wrong about many pictures at once. So the null of a reader must
# come from *refits* (`Reading.null_codes`), not from the pictures alone.
#
# 3\. Half of these cells (the complex ones) answer light and dark edges alike, and all of them take the mean off, so
# the picture's overall brightness is lost at once, and its polarity partly. What a reader paints there comes from the
# generator, which knows that clothes are light on black: a *prior*, not a reading.
