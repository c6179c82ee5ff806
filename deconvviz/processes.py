"""The processes that share one piece of work: this one alone, or those that `torchrun` started."""

import os
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed

Item = TypeVar("Item")


@dataclass(frozen=True)
class ProcessGroup:
    """This process and the others that work on different parts of the data.

    Attributes:
        rank: Rank of this process, from 0.
        size: Number of processes.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def from_environment(cls) -> "ProcessGroup":
        """The processes that `torchrun` started, connected; else this one alone."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        if not distributed.is_initialized():
            # gloo for the small objects of `all_gather`, which are on the CPU; nccl for gradients
            nccl = torch.cuda.is_available() and distributed.is_nccl_available()
            distributed.init_process_group("cpu:gloo,cuda:nccl" if nccl else "gloo")
        return cls(distributed.get_rank(), size)

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes files and output."""
        return self.rank == 0

    def all_gather(self, item: Item) -> list[Item]:
        """The object of every process, by rank; each call is a barrier."""
        if self.size == 1:
            return [item]
        items: list[Item] = [item] * self.size
        distributed.all_gather_object(items, item)
        return items

    def device(self, kind: torch.device) -> torch.device:
        """The GPU of this process, where there are several."""
        if kind.type == "cuda" and kind.index is None and self.size > 1:
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return kind

    def close(self) -> None:
        """Disconnect from the other processes."""
        if self.size > 1:
            distributed.destroy_process_group()
