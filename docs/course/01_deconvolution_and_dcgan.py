# %% [markdown]
# # 1. Deconvolution and DCGAN
#
# A generator turns a short list of random numbers into a picture. It does so with layers that run a convolution
# backwards. Here you see what such a layer does, how a stack of them makes pictures, and why a good score says less
# than you think.
#
# You need `pip install 'prosthesis[laptop,train]'`; the last section also wants Fashion-MNIST, once (`apt-get install
# dataset-fashion-mnist`, or your download of it, its folder named in `PROSTHESIS_FASHION_MNIST`).

# %%
import torch
from show import plt, row
from torch import nn

from prosthesis_train.artefacts import load_artefact
from prosthesis_train.networks.dcgan import Generator
from prosthesis_train.studies.gallery import sheets
from prosthesis_train.studies.generators import tiled

random = torch.Generator().manual_seed(0)

# %% [markdown]
# ## A convolution is a matrix; "deconvolution" is its transpose
#
# A convolution takes a weighted sum of each neighbourhood. It is linear, so it is a matrix, big and mostly empty. A
# *transposed* convolution multiplies by that matrix's transpose A': it does not undo the convolution, it *spreads*
# each number over a neighbourhood, and adds where the spreads overlap. The name "deconvolution" stuck all the same.
#
# We check that with the inner product: ⟨Ax, y⟩ = ⟨x, A'y⟩ for any x and y.

# %%
down = nn.Conv2d(1, 1, 4, stride=2, padding=1, bias=False)
up = nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False)
up.weight = down.weight  # the same numbers
x, y = torch.randn(1, 1, 16, 16, generator=random), torch.randn(1, 1, 8, 8, generator=random)
with torch.no_grad():
    print(f"<Ax, y>  = {float((down(x) * y).sum()):.6f}")
    print(f"<x, A'y> = {float((x * up(y)).sum()):.6f}")
    basis = torch.eye(64).reshape(64, 1, 8, 8)
    matrix = up(basis).reshape(64, 256).T
row(
    [(matrix.T.abs() > 0).numpy().astype(float)],
    ["A as a matrix: 64 numbers from 256 pixels (white: not zero)"],
    inches=2.2,
)

# %% [markdown]
# ## What one layer draws
#
# One number in, one kernel out. With a stride of 2 neighbouring kernels are 2 pixels apart; a kernel 4 wide overlaps
# evenly. A kernel 3 wide does not: some pixels get four contributions, others one, and a *checkerboard* appears,
# whatever the weights (Odena et al. 2016). This is why DCGAN's kernels are 4 wide.

# %%
fields = []
for width, padding in ((3, 1), (4, 1)):
    layer = nn.ConvTranspose2d(1, 1, width, stride=2, padding=padding, bias=False)
    nn.init.ones_(layer.weight)
    with torch.no_grad():
        fields.append(layer(torch.ones(1, 1, 6, 6))[0, 0].numpy() / 4)
row(fields, ["3 wide, stride 2: checkerboard", "4 wide, stride 2: even"], inches=3)

# %% [markdown]
# ## DCGAN: four such layers
#
# DCGAN (Radford et al. 2015) starts from 100 random numbers and doubles the side in every layer, while the number of
# channels halves. The network is one file, `prosthesis_train/networks/dcgan.py`.

# %%
network = Generator(side=32, channels=1, width=32).eval()
shapes, z = [], torch.randn(1, 100, generator=random)[:, :, None, None]
with torch.no_grad():
    for layer in network.layers:
        z = layer(z)
        if isinstance(layer, nn.ConvTranspose2d):
            shapes.append(tuple(z.shape[1:]))
print(" -> ".join("x".join(map(str, shape)) for shape in [(100, 1, 1), *shapes]))
print(f"{sum(p.numel() for p in network.parameters()):,} weights")

# %% [markdown]
# Untrained, it draws a gray nothing. Trained for 34 minutes on two cores against a discriminator that learns to tell
# its pictures from real clothes, it draws clothes. Both below are of random codes, none chosen.

# %%
trained = load_artefact("dcgan-fashion")
codes = torch.randn(16, 100, generator=random)
with torch.no_grad():
    untrained = network(codes)
row([tiled(untrained, 8), tiled(trained.generate(codes), 8)], ["untrained", "trained"], inches=1.9)

# %% [markdown]
# ## The space of codes
#
# Codes between two codes give pictures between two pictures: nothing was copied. We walk at equal *angles*: random
# codes of 100 dimensions all have nearly the same length (10), so a straight line between two of them leaves the
# shell on which the network was trained (White 2016).

# %%
pictures = sheets(trained)
row([tiled(pictures["interpolations"][:64], 16)], ["from the code on the left to the one on the right"], inches=2.2)
row([tiled(pictures["truncation"], 16)], ["codes drawn again beyond 0.25, 0.5, 1, 2 and 4, top to bottom"], inches=2.7)
lengths = codes.norm(dim=1)
print(f"lengths of 16 random codes: {float(lengths.min()):.1f} to {float(lengths.max()):.1f}")

# %% [markdown]
# ## How good is it? Scores, and their controls
#
# The *Frechet distance* compares two sets of pictures by mean and covariance of a network's features. Alone it means
# nothing; beside its controls it does: real against real is the floor, noise the ceiling.

# %%
from prosthesis_train.data.images import open_images
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.scores.card import score_card
from prosthesis_train.scores.features import own_classifier

data, n = open_images("fashion", 32, 1), 1000
card = score_card(trained.model(), to_float(data.train[:5000]), to_float(data.test[:5000]), own_classifier(), n=n)
names = [line.condition for line in card.rows]
figure, ax = plt.subplots(figsize=(7, 2.6))
ax.barh(names[::-1], [card.normalised(name) for name in names][::-1], color="#0072B2")
ax.set(xlabel=f"{card.distance}, 0 = real pictures, 1 = noise", title=f"DCGAN, {n} pictures a row")
figure.tight_layout()

# %% [markdown]
# A *random code* comes near the floor: its pictures look like clothes. It has seen no picture at all! Keep that in
# mind for notebook 3, where a "brain reader" that ignores the brain gets the same excellent distance.
#
# ## Exercises
#
# 1. How many of the 256 x 64 numbers of A' are not zero, and why about 16 in each column?
# 2. A straight line between two codes: how long is its middle, compared with its ends? What does the generator draw
#    there?
# 3. The distance is biased in the number of pictures. Compute it real against real for 250, 500 and 2000 pictures.
#
# ## Answers

# %%
inside = (matrix.abs() > 0).sum(0)
print(f"1. {int(inside.sum())} of {matrix.numel()}; {int(inside.max())} in a column (4 x 4 a kernel)")
ends = codes[:2]
straight = torch.stack([ends[0] * (1 - t) + ends[1] * t for t in torch.linspace(0, 1, 8)])
print("2. lengths on the way: " + " ".join(f"{float(code.norm()):.1f}" for code in straight))
row([tiled(trained.generate(straight), 8)], ["2. straight from one code to the other: duller half way"], inches=1.2)

# %%
from prosthesis_train.scores.frechet import frechet

features = own_classifier()
for count in (250, 500, 2000):
    one, other = (features.features(to_float(part[:count])) for part in (data.train, data.test))
    print(f"3. {count} real against {count} real pictures: {frechet(one, other):.2f}")

# %% [markdown]
# 3\. The fewer the pictures, the larger the distance, though both sets are real. So only distances of the same number
# of pictures may be compared; the [results](../results/generators.md) take 10,000.
