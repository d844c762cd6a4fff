"""Parts that the generators share: batch norm over all processes, skip-z, attention, spectral and orthogonal norms."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as fn
from torch import Tensor, nn
from torch.nn.utils import parametrizations

M = TypeVar("M", bound=nn.Module)


class _SumOverProcesses(torch.autograd.Function):
    """Sum over processes; the gradient of a sum is summed too, for each process's loss depends on every term."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone()
        dist.all_reduce(total)
        return total


def processes() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class BatchNorm(nn.Module):
    """Batch norm whose statistics are those of the whole batch on all processes, on any backend.

    ``nn.SyncBatchNorm`` refuses gloo and the CPU. With one process this is ``nn.BatchNorm2d``, to the last bit.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, affine: bool = True, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise f32[n, c, ...] over all but c."""
        if self.training and processes() > 1:
            mean, var = self._statistics(x)
            return self._normalise(x, mean, var)
        return fn.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
        )

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        axes = [0, *range(2, x.dim())]
        count = torch.full((1,), x.numel() / x.shape[1], dtype=x.dtype, device=x.device)
        total = _total(torch.cat([x.sum(axes), count]))
        n = total[-1].detach()
        mean = total[:-1] / n
        # two passes: one pass of squares loses the digits that equal losses on 1 and 2 processes need
        centred = x - _along_channels(mean, x)
        var = _total(centred.square().sum(axes)) / n
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * n / (n - 1), self.momentum)
        return mean, var

    def _normalise(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        y = (x - _along_channels(mean, x)) * _along_channels((var + self.eps).rsqrt(), x)
        if self.weight is None or self.bias is None:
            return y
        return y * _along_channels(self.weight, x) + _along_channels(self.bias, x)


def _total(x: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(x)  # type: ignore[no-untyped-call]  # torch does not type it
    return total


def _along_channels(v: Tensor, x: Tensor) -> Tensor:
    return v.view(1, -1, *[1] * (x.dim() - 2))


class ChunkNorm(nn.Module):
    """Batch norm whose gain and bias are linear in a chunk of z: skip-z of Brock et al. 2019, appendix B.

    ``chunk`` 0 makes it a plain batch norm that ignores z.
    """

    def __init__(self, channels: int, chunk: int) -> None:
        super().__init__()
        self.norm = BatchNorm(channels, affine=chunk == 0)
        self.affine = nn.Linear(chunk, 2 * channels, bias=False) if chunk else None

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Normalise f32[n, c, h, w], then scale and shift each picture by its own f32[n, chunk]."""
        y: Tensor = self.norm(x)
        if self.affine is None:
            return y
        gain, bias = self.affine(z)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(y + bias, y, gain)  # gain is about 1


class SelfAttention(nn.Module):
    """Self-attention of Zhang et al. 2019, as in Brock et al. 2019: keys and values pooled, ``gamma`` from 0."""

    def __init__(self, channels: int, spectral: bool) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.query = spectral_norm(nn.Conv2d(channels, inner, 1, bias=False), spectral)
        self.key = spectral_norm(nn.Conv2d(channels, inner, 1, bias=False), spectral)
        self.value = spectral_norm(nn.Conv2d(channels, channels // 2, 1, bias=False), spectral)
        self.out = spectral_norm(nn.Conv2d(channels // 2, channels, 1, bias=False), spectral)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Add to f32[n, c, h, w] what its other places say."""
        query = self.query(x).flatten(2)
        key = fn.max_pool2d(self.key(x), 2).flatten(2)
        value = fn.max_pool2d(self.value(x), 2).flatten(2)
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=-1)  # no 1/sqrt(d): SAGAN has none
        # not reshaped by len(x), which a traced graph would keep as a constant
        attended = torch.unflatten(value @ weights.transpose(1, 2), 2, tuple(x.shape[2:]))
        return torch.as_tensor(x + self.gamma * self.out(attended))


def spectral_norm(layer: nn.Module, on: bool = True) -> nn.Module:
    """Return ``layer`` with its weight divided by its largest singular value (Miyato et al. 2018), if ``on``."""
    return parametrizations.spectral_norm(layer, eps=1e-6) if on else layer


def orthogonal_penalty(weight: Tensor) -> Tensor:
    """Return ``||W W^T . (1 - I)||_F^2`` of a weight seen as rows by output (Brock et al. 2019, equation 3)."""
    rows = weight.flatten(1)
    gram = rows @ rows.T
    return (gram - torch.diag(gram.diagonal())).square().sum()


def add_orthogonal_gradient(module: nn.Module, strength: float) -> None:
    """Add to every weight's gradient that of ``strength`` times the penalty, in closed form: 4 (W W^T . (1 - I)) W."""
    if strength == 0.0:
        return
    for name, weight in module.named_parameters():
        if weight.dim() < 2 or weight.grad is None or "affine" in name:
            continue
        rows = weight.detach().flatten(1)
        # (W W^T) W or W (W^T W), whichever product is the smaller; a start layer has 2,048 rows of 20
        whole = (rows @ rows.T) @ rows if len(rows) <= rows.shape[1] else rows @ (rows.T @ rows)
        whole -= rows.square().sum(1, keepdim=True) * rows
        weight.grad.add_(whole.view_as(weight), alpha=4 * strength)


def initialise(module: nn.Module, std: float | None = 0.02) -> None:
    """Set weights as N(0, ``std``), or orthogonal where ``std`` is ``None``; biases 0 (Radford 2015; Brock 2019)."""
    for layer in module.modules():
        if not isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            continue
        if std is None:
            nn.init.orthogonal_(layer.weight)
        else:
            nn.init.normal_(layer.weight, 0.0, std)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def placed(network: M, device: torch.device) -> M:
    """Move ``network``, its convolutions channels last: strided ones gain a third on a CPU."""
    network.to(device)
    for number in network.parameters():
        if number.dim() == 4:
            number.data = number.data.contiguous(memory_format=torch.channels_last)
    return network


def parameter_count(module: nn.Module) -> int:
    """Return how many numbers are trained."""
    return sum(p.numel() for p in module.parameters())
