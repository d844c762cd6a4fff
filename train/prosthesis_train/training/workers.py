"""One process or many on one machine or many: Lightning Fabric starts and joins them, our loops stay our own.

Networks are not wrapped in DDP: a GAN runs each network several times a step with others frozen, which its hooks do not
bear. Gradients are averaged in one call instead, after all backward passes of an update.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor, nn

from prosthesis.errors import ProsthesisError
from prosthesis_train.networks.parts import processes


def join(devices: int = 1, nodes: int = 1, accelerator: str = "auto") -> Fabric:
    """Start or join the run's processes; under ``torchrun`` its environment says who we are."""
    many = devices * nodes > 1
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, strategy="ddp" if many else "auto")
    fabric.launch()
    return fabric


def average_gradients(network: nn.Module) -> None:
    """Replace every gradient by its mean over processes."""
    grads = [p.grad for p in network.parameters() if p.grad is not None]
    if not many() or not grads:
        return
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for grad, mean in zip(grads, torch.split(flat, [g.numel() for g in grads]), strict=True):
        grad.copy_(mean.view_as(grad))


def mean_over_processes(values: Iterable[Tensor]) -> list[float]:
    """Return scalars averaged over processes: the same numbers in each, so that each decides the same."""
    stacked = torch.stack([v.detach().float().reshape(()) for v in values])
    if many():
        dist.all_reduce(stacked)
        stacked /= dist.get_world_size()
    return [float(v) for v in stacked]


def agree(step: int) -> None:
    """Raise ``ProsthesisError`` unless all processes go on from the same step: machines need a shared folder."""
    steps = torch.tensor([step, -step])
    if many():
        dist.all_reduce(steps, op=dist.ReduceOp.MAX)
    if int(steps[0]) != -int(steps[1]):
        raise ProsthesisError(
            f"this process would go on from step {step}, another from step {int(steps[0])}; "
            "put the run's folder (--run) where every machine sees it"
        )


def many() -> bool:
    """Return whether several processes train together."""
    return processes() > 1


def same_start(*networks: nn.Module) -> None:
    """Give every process the numbers of the first: a safeguard, for all have drawn them from one seed."""
    if not many():
        return
    for network in networks:
        for number in [*network.parameters(), *network.buffers()]:
            dist.broadcast(number.data, 0)
