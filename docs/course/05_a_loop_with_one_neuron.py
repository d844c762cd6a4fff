# %% [markdown]
# # 5. A closed loop: what does this neuron want to see?
#
# So far the pictures were given. Now the neuron chooses: codes become pictures, pictures become spikes, and the codes
# whose pictures were answered most breed. No gradient, no model of the neuron: only its rate. This is how Ponce et
# al. (2019) found what cells of the inferior temporal cortex of monkeys respond to.
#
# You need `pip install 'prosthesis[laptop,train]'`; Fashion-MNIST only for the control (notebook 1 says how).

# %%
import numpy as np
from show import plt, row

from prosthesis_sim.brain import Noise, counts, frozen_brain
from prosthesis_train.artefacts import load_artefact
from prosthesis_train.reading.evolution import Cma, Genetic, evolve, rate_of
from prosthesis_train.reading.genealogy import best_picture, founders_left
from prosthesis_train.reading.painters import cosines, of_artefact

brain, unit, generations = frozen_brain("it", seed=0), 7, 40
random = np.random.default_rng(0)


def spikes(hz):
    """Return the counts of one presentation of 200 ms."""
    return counts(hz, 0.2, random, Noise())


def again(image, times=50):
    """Return the mean rate in Hz of fresh presentations of one picture f32[32, 32]."""
    hz = np.repeat(brain.rates_hz(image[None])[:, unit : unit + 1], times, axis=0)
    return float(spikes(hz).mean() / 0.2)


score = rate_of(brain.rates_hz, unit, spikes, duration_s=0.2)

# %% [markdown]
# ## Two ways to breed
#
# The *genetic algorithm* of that paper keeps the best ten of forty codes and lets the others' children mix and
# mutate. *CMA-ES* moves and stretches a cloud of codes towards high scores. Both see the same painter: the generator
# of notebook 2, with codes of 120 numbers.

# %%
painter = of_artefact(load_artefact("bigbigan-fashion120"))
runs = {
    "genetic": evolve(Genetic(painter.dim, seed=0), painter.images, score, generations),
    "CMA-ES": evolve(Cma(painter.dim, seed=0), painter.images, score, generations),
}
figure, ax = plt.subplots(figsize=(6.5, 3))
for name, run in runs.items():
    line = ax.plot(run.scores.mean(1), label=f"{name}: mean of 40")[0]
    ax.plot(run.scores.max(1), ":", color=line.get_color(), label=f"{name}: best of 40")
ax.set(xlabel="generation", ylabel="rate (Hz)")
ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
figure.tight_layout()

# %% [markdown]
# The best picture of every generation of the genetic algorithm, its rate beneath:

# %%
row([best_picture(runs["genetic"], painter.images, columns=10)], ["40 generations"], inches=4.2)
left = founders_left(runs["genetic"])
print(f"of the 40 codes of the first generation {left[10]} have descendants in generation 10, {left[-1]} in the last")

# %% [markdown]
# ## Is that more than luck?
#
# The best of 1,600 *noisy* scores is a lucky one, so winners are shown again, fifty times, and only these fresh
# spikes count. And the control: 1,600 natural pictures, the best of them by the same noisy score, shown again too.

# %%
from prosthesis_train.data.images import open_images
from prosthesis_train.data.photographs import photographs
from prosthesis_train.reading.painters import gray

shown = generations * 40
sets = {
    "photographs": gray(photographs(32, 1, train=shown, test=1).train),
    "clothes": gray(open_images("fashion", 32, 1).train[:shown]),
}
winners = {f"best of {shown} {name}": pictures[score(pictures).argmax()] for name, pictures in sets.items()}
winners |= {f"evolved, {name}": painter.images(run.best()[None])[0] for name, run in runs.items()}
fresh = {name: again(picture) for name, picture in winners.items()}
row(list(winners.values()), [f"{name}\n{fresh[name]:.1f} Hz" for name in winners], inches=2.2)
lucky = runs["genetic"].scores[-1].max()
print(f"the genetic algorithm's last winner: score {lucky:.1f} Hz, shown again {fresh['evolved, genetic']:.1f} Hz")


# %% [markdown]
# Read the numbers before you believe the pictures. A generator of clothes can only evolve what looks like clothes;
# whether that is more than the best photograph differs from cell to cell. Over 20 cells fixed in advance the
# [results](../results/braincodes.md) say: for cells like these, not surely; for cells of primary visual cortex, yes.
#
# ## Another painter
#
# What is found depends on what can be drawn. `cosines` is no trained network: 4,096 waves with the spectrum of
# natural scenes.

# %%
waves = cosines(64, 32)
run = evolve(Cma(waves.dim, seed=0), waves.images, score, generations)
best = waves.images(run.best()[None])[0]
row(
    [winners["evolved, CMA-ES"], best],
    [f"clothes {fresh['evolved, CMA-ES']:.1f} Hz", f"waves {again(best):.1f} Hz"],
    inches=2.2,
)

# %% [markdown]
# ## Exercises
#
# 1. Replace selection by chance: give every picture a random score. What does the mean rate do over the generations?
# 2. Take a cell of primary visual cortex (`frozen_brain("tuned600", 0)`, a unit that answers) and evolve with waves.
#    What does the winner look like, and where?
# 3. A real electrode sometimes hears nothing. Give a third of the scores as NaN. Does the loop still climb?
#
# ## Answers

# %%
dice = np.random.default_rng(1)
chance = evolve(Genetic(painter.dim, seed=0), painter.images, lambda images: dice.random(len(images)), 15)
for generation in (0, 7, 14):
    living = chance.codes[generation]
    hz, length = float(brain.rates_hz(painter.images(living))[:, unit].mean()), np.linalg.norm(living, axis=1).mean()
    print(f"1. selected by chance, generation {generation}: mean rate {hz:.1f} Hz, mean length of codes {length:.1f}")
deaf = evolve(
    Genetic(painter.dim, seed=0),
    painter.images,
    lambda images: np.where(dice.random(len(images)) < 1 / 3, np.nan, score(images)),
    generations,
)
print(f"3. a third not heard: from {np.nanmean(deaf.scores[0]):.1f} to {np.nanmean(deaf.scores[-1]):.1f} Hz")

# %%
v1 = frozen_brain("tuned600", seed=0)
cell = int(np.argmax(v1.rates_hz(sets["photographs"][:200]).std(0)))
found = evolve(Cma(waves.dim, seed=0), waves.images, rate_of(v1.rates_hz, cell, spikes, 0.2), generations)
picture = waves.images(found.best()[None])[0]
row([picture], [f"2. what cell {cell} wants"], inches=2.2)
print(f"2. its field lies at x = {v1.x[cell]:.2f}, y = {v1.y[cell]:.2f} (shares of the picture, from the lower left)")

# %% [markdown]
# 1\. Every mutation makes codes longer, and at first the rate rises with them, without any selection; then it stays.
# So a curve that rises needs this control too.
