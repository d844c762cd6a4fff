"""A brain code fed straight to a generator, trained end to end with pixel, feature and adversarial losses.

After Shen et al. 2019 (Frontiers in Computational Neuroscience 13:21). Theirs trains its generator from nothing on
6,000 samples; ours starts at the linear reader, a ridge decoder before the shipped generator, and so never has to learn
what that already knows. The rule by which discriminator and generator take turns is theirs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from prosthesis.errors import ProsthesisError
from prosthesis_train.artefacts import GENERATOR, Artefact
from prosthesis_train.data.images import imported
from prosthesis_train.methods.classifier import Classifier
from prosthesis_train.networks import bigbigan, dcgan
from prosthesis_train.training.batches import step_random
from prosthesis_train.training.guardrails import Balance

FEATURE_LAYERS = 10  # of the classifier's body: up to its third rectified layer's maps of 8 x 8


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """Weights of the three losses and how they are trained; 0 leaves a loss out.

    Adam's betas and the weight decay are Shen et al.'s, with their learning rate for the discriminator. Their weights
    (2e-6, 0.01, 100) are for sums over pixels in 0..255 and CaffeNet's features, so these here are ours: pixels and
    features as mean squares over what the pictures vary by. The readers' learning rates are ours too, for they do
    not start from nothing.
    """

    pixel: float = 1.0
    feature: float = 1.0
    adversarial: float = 0.02
    steps: int = 300
    batch: int = 64
    lr_linear: float = 2e-4
    lr_generator: float = 1e-4
    lr_discriminator: float = 2e-4
    weight_decay: float = 4e-4
    check_every: int = 25
    seed: int = 0


class Reader(nn.Module):
    """Brain codes f32[n,sites] to pictures f32[n,c,side,side] in [-1,1]: a linear layer, then a generator."""

    def __init__(self, linear: nn.Linear, generator: nn.Module) -> None:
        super().__init__()
        self.linear, self.generator = linear, generator

    def forward(self, brain: Tensor) -> Tensor:
        """Return pictures."""
        pictures: Tensor = self.generator(self.linear(brain))
        return pictures


def linear_reader(weights: Tensor, intercept: Tensor, generator: nn.Module) -> Reader:
    """Return the reader that a linear decoder, z = r ``weights`` [sites,d] + ``intercept`` [d], already is."""
    linear = nn.Linear(*weights.shape)
    with torch.no_grad():
        linear.weight.copy_(weights.T)
        linear.bias.copy_(intercept)
    return Reader(linear, generator)


def torch_generator(model: Artefact) -> bigbigan.Generator:
    """Return a shipped BigBiGAN generator as a torch network, its weights read from the ONNX graph.

    Averages of the batch norms stay as shipped (eval mode). Raises ``ProsthesisError`` when the model is another kind,
    and ``MissingExtraError`` without onnx.
    """
    settings = model.card["settings"]
    if model.card["method"] != "bigbigan":
        raise ProsthesisError(
            f"{model.folder}: only a BigBiGAN's generator can be trained on, not {model.card['method']}'s"
        )
    onnx = imported("onnx", "export", "reading a shipped generator's weights")
    graph = onnx.load(str(model.folder / GENERATOR)).graph
    known = {i.name: torch.from_numpy(onnx.numpy_helper.to_array(i).copy()) for i in graph.initializer}
    # layers without a bias became plain products: their weight has no name, but their node has the layer's
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in known:
            known[node.name.strip("/").replace("/", ".").removesuffix("MatMul") + "weight"] = known[node.input[1]].T
    tricks = bigbigan.Tricks(settings["skip_z"], settings["self_attention"], "")
    net = bigbigan.Generator(bigbigan.size_named(settings["size"]), settings["channels"], tricks)
    state = net.state_dict()
    lacking = [key for key in state if key not in known]
    if lacking:
        raise ProsthesisError(f"{model.folder / GENERATOR}: the graph lacks {', '.join(lacking)}; export it again")
    net.load_state_dict({key: known[key] for key in state})
    return net.eval()


def small_generator(sites: int, width: int = 32, seed: int = 0) -> Reader:
    """Return a reader of transposed convolutions from nothing, as in the paper: 32 pixels, three doublings.

    The paper's has three layers of 4,096 and six doublings to 256 pixels.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        linear = nn.Linear(sites, 256)
        body = nn.Sequential(
            nn.LeakyReLU(0.3), nn.Linear(256, 4 * width * 16), nn.LeakyReLU(0.3), nn.Unflatten(1, (4 * width, 4, 4)),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.3),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.LeakyReLU(0.3),
            nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Tanh(),
        )  # fmt: skip
    return Reader(linear, body)


@dataclass(frozen=True, slots=True)
class Finetuned:
    """The best reader seen, by error on held-out pictures; that error at each check; how often each network rested."""

    reader: Reader
    held_out: tuple[float, ...]
    d_rested: int
    g_rested: int


def finetune(
    reader: Reader,
    brain: Tensor,
    pictures: Tensor,
    net: Classifier,
    settings: FinetuneSettings | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Finetuned:
    """Train a copy of ``reader`` on brain codes f32[n,sites] and their pictures f32[n,1,32,32] in [-1,1].

    The last tenth is held out, and the reader of the least error on it is returned, which may be the first. Raises
    ``ProsthesisError`` when all losses are off, or a loss is no number.
    """
    s = settings or FinetuneSettings()
    if not (s.pixel or s.feature or s.adversarial):
        raise ProsthesisError("all three losses are off; give one of pixel, feature and adversarial a weight above 0")
    held = max(1, len(brain) // 10)
    task = _Task(reader, net, pictures[:-held], s)
    best, least, errors = reader, float("inf"), []
    for step in range(s.steps + 1):
        if step % s.check_every == 0 or step == s.steps:
            errors.append(task.error(brain[-held:], pictures[-held:]))
            if errors[-1] < least:
                best, least = copy.deepcopy(task.reader), errors[-1]
            say(f"step {step} of {s.steps}: held-out error {errors[-1]:.4f}")
        if step < s.steps:
            rows = torch.randint(len(brain) - held, (s.batch,), generator=step_random(s.seed, step))
            task.learn(brain[rows], pictures[rows])
    return Finetuned(best.eval(), tuple(errors), task.d_rested, task.g_rested)


class _Task:
    """The networks that are trained, their optimisers, and one step of it."""

    def __init__(self, reader: Reader, net: Classifier, pictures: Tensor, settings: FinetuneSettings) -> None:
        self.s, self.net, self.reader = settings, copy.deepcopy(net).requires_grad_(False).eval(), copy.deepcopy(reader)
        self.reader.eval()  # batch norms keep their averages: a start at the linear reader must stay one
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.critic = dcgan.Discriminator(32, 1, 16)
        groups = [(self.reader.linear, settings.lr_linear), (self.reader.generator, settings.lr_generator)]
        self.adam = torch.optim.Adam(
            [{"params": list(part.parameters()), "lr": lr} for part, lr in groups], weight_decay=settings.weight_decay
        )
        self.adam_d = torch.optim.Adam(self.critic.parameters(), settings.lr_discriminator)
        self.balance, self.d_rested, self.g_rested = Balance(), 0, 0
        with torch.no_grad():
            some = pictures[:1000]
            self.pixels_vary = some.var(0).mean()
            self.features_vary = self.features(some).var(0).mean()

    def features(self, pictures: Tensor) -> Tensor:
        return torch.as_tensor(self.net.body[:FEATURE_LAYERS](pictures))

    def likeness(self, made: Tensor, wanted: Tensor) -> Tensor:
        """Return the pixel and feature losses, weighted."""
        loss = self.s.pixel * fn.mse_loss(made, wanted) / self.pixels_vary
        if self.s.feature:
            off = fn.mse_loss(self.features(made), self.features(wanted))
            loss = loss + self.s.feature * off / self.features_vary
        return loss

    @torch.no_grad()
    def error(self, brain: Tensor, pictures: Tensor) -> float:
        """Return what the checkpoint is chosen by: pixel and feature error, whatever the weights are."""
        made = self.reader(brain)
        off = fn.mse_loss(made, pictures) / self.pixels_vary
        return float(off + fn.mse_loss(self.features(made), self.features(pictures)) / self.features_vary)

    def learn(self, brain: Tensor, pictures: Tensor) -> None:
        made = self.reader(brain)
        d_learns, g_learns = self.balance.learn
        if self.s.adversarial:
            self._critic_learns(pictures, made.detach(), d_learns)
        loss = self.likeness(made, pictures)
        if self.s.adversarial:
            fooled = _cross_entropy(self.critic(made), 1.0)
            self.balance.weigh(*self.seen, float(fooled.detach()))
            loss = loss + self.s.adversarial * fooled
        if not loss.isfinite():
            raise ProsthesisError("a loss is no number any more; lower the learning rates")
        self.d_rested, self.g_rested = self.d_rested + (not d_learns), self.g_rested + (not g_learns)
        if g_learns:
            self.adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.adam.step()

    def _critic_learns(self, real: Tensor, fake: Tensor, learns: bool) -> None:
        on_real, on_fake = _cross_entropy(self.critic(real), 1.0), _cross_entropy(self.critic(fake), 0.0)
        self.seen = float(on_real.detach()), float(on_fake.detach())
        if learns:
            self.adam_d.zero_grad(set_to_none=True)
            (on_real + on_fake).backward()  # type: ignore[no-untyped-call]
            self.adam_d.step()


def _cross_entropy(logits: Tensor, wanted: float) -> Tensor:
    return fn.binary_cross_entropy_with_logits(logits, torch.full_like(logits, wanted))
