# %% [markdown]
# # 2. BigBiGAN: a code for every picture
#
# DCGAN makes pictures of codes. To *read* a brain we also need the way back: the code of a picture. A bidirectional
# GAN (Donahue & Simonyan 2019) trains an encoder E together with the generator G: a discriminator looks at *pairs*, a
# real picture with E's code for it, or a random code with G's picture of it, and tries to tell which is which. It can
# be fooled only if E and G undo each other.
#
# The code z = E(x) is this project's **machine code**: 80 numbers that say what is in the picture.
#
# You need `pip install 'prosthesis[laptop,train]'` and Fashion-MNIST (notebook 1 says how).

# %%
import numpy as np
import torch
from show import plt, row

from prosthesis_train.artefacts import load_artefact
from prosthesis_train.data.images import open_images
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.studies.gallery import sheets
from prosthesis_train.studies.generators import tiled

model, data = load_artefact("bigbigan-fashion"), open_images("fashion", 32, 1)
shown = to_float(data.test[:2000])
with torch.no_grad():
    codes, sigma = model.encode(shown)
    again = model.generate(codes)
print(f"pictures {tuple(shown.shape)} -> codes {tuple(codes.shape)} -> pictures {tuple(again.shape)}")

# %% [markdown]
# ## There and back
#
# Test pictures, which training has not seen, and under each G(E(x)). What returns is the *kind* of thing and its
# rough shape; writing and patterns are lost. The loss is not a bug: 1,024 pixels do not fit through 80 numbers, and
# nobody told the network that pixels matter.

# %%
row([tiled(sheets(model)["reconstructions"], 16)], ["test pictures, and below each G(E(x))"], inches=4)

# %% [markdown]
# ## Is it really *this* picture's code?
#
# A generator that always drew *some* shirt would look just as good. So we ask: of two reconstructions, the picture's
# own and another's, which is more like the picture? That is *two-alternative forced choice* (2AFC); chance is 0.5.
# The control permutes the pairs: it uses the very same reconstructions, each for the wrong picture.

# %%
from prosthesis_train.scores.two_afc import two_afc

wrong = again.roll(1000, 0)
for name, made in (("G(E(x))", again), ("G(E(x)), pairs permuted", wrong)):
    found = two_afc(shown, made)
    print(f"2AFC of pixels, {name}: {found.share:.3f} ({found.low:.3f} to {found.high:.3f})")

# %% [markdown]
# ## What is in a code?
#
# Codes of one kind of clothes lie together. Below, two directions of the code space: the two in which the means of
# the ten classes differ most, fitted on one half of the pictures and shown on the other.

# %%
z, labels = codes.numpy(), data.test_labels[:2000]
own, other = slice(0, 1000), slice(1000, 2000)
means = np.stack([z[own][labels[own] == k].mean(0) for k in range(10)])
axes2 = np.linalg.svd(means - means.mean(0), full_matrices=False)[2][:2]
flat = z[other] @ axes2.T
figure, ax = plt.subplots(figsize=(6.4, 4.6))
for k, name in enumerate(data.classes):
    of = labels[other] == k
    ax.scatter(*flat[of].T, s=7, color=plt.cm.tab10(k), label=name)
ax.set(xlabel="first direction", ylabel="second direction", title="codes of 1,000 test pictures")
ax.legend(fontsize=8, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
figure.tight_layout()

# %% [markdown]
# How much a code says can be measured with a *linear probe*: the best linear reader of classes. Beside it stand the
# raw pixels, the control that is most often forgotten.

# %%
from prosthesis_train.scores.card import in_batches
from prosthesis_train.scores.probe import probe

some = to_float(data.train[:4000])
sides = {"codes": lambda x: model.encode(x)[0], "encoder's features": model.features, "raw pixels": lambda x: x}
result = {}
for name, of in sides.items():
    train, test = (in_batches(of, part).flatten(1).numpy() for part in (some, shown))
    result[name] = probe(train, data.train_labels[:4000], test, labels, steps=300)
figure, ax = plt.subplots(figsize=(5.5, 2))
for at, found in enumerate(result.values()):
    ax.barh(at, found.top1, xerr=[[found.top1 - found.low], [found.high - found.top1]], color="#0072B2", height=0.6)
ax.set(yticks=range(3), yticklabels=list(result), xlim=(0.5, 1), xlabel="right of ten classes, 95 % intervals")
figure.tight_layout()

# %% [markdown]
# Features hardly beat pixels, and the 80 numbers of a code hold less than 1,024 pixels do. What the code has instead:
# it is short, no number of it matters more than another, and there is a generator behind it. That is what makes it a
# good thing to read from a brain.
#
# ## Arithmetic with codes
#
# The mean code of a class, and the walk from one class to another, need no new training.

# %%
by_class = torch.stack([codes[torch.as_tensor(labels == k)].mean(0) for k in range(10)])
with torch.no_grad():
    row([tiled(model.generate(by_class), 10)], ["the mean code of each class, painted"], inches=1.3)
    shirt, boot = by_class[2], by_class[9]
    walk = torch.stack([(1 - t) * shirt + t * boot for t in torch.linspace(0, 1, 12)])
    row([tiled(model.generate(walk), 12)], ["from the mean pullover to the mean ankle boot"], inches=1.2)

# %% [markdown]
# ## Exercises
#
# 1. Encode a picture, paint it, encode that, paint again ... ten times. Does the picture stay what it is?
# 2. E gives a mean *and* a sigma. Draw eight codes from it for one picture. Which is larger, the spread within one
#    picture's codes or the spread between pictures?
# 3. Add half of the difference "ankle boot minus sneaker" to the codes of sneakers. What happens to them?
#
# ## Answers

# %%
with torch.no_grad():
    chain = [shown[:1]]
    for _ in range(10):
        chain.append(model.generate(model.encode(chain[-1])[0]))
    row([tiled(torch.cat(chain), 11)], ["1. again and again"], inches=1.2)
    draws = codes[:1] + sigma[:1] * torch.randn(8, codes.shape[1], generator=torch.Generator().manual_seed(0))
    row(
        [tiled(torch.cat([shown[:1], model.generate(draws)]), 9)],
        ["2. a picture, and eight codes drawn for it"],
        inches=1.2,
    )
within, between = float((sigma**2).mean()), float(codes.var(0).mean())
print(f"2. variance within one picture's codes {within:.3f}, between pictures {between:.3f}")

# %%
sneakers = codes[torch.as_tensor(labels == 7)][:8]
more = by_class[9] - by_class[7]
with torch.no_grad():
    both = torch.cat([model.generate(sneakers), model.generate(sneakers + 0.5 * more), model.generate(sneakers + more)])
row([tiled(both, 8)], ["3. sneakers; half way; all the way to boots"], inches=3)
