"""The processes that share one piece of work: one alone, or those that `torchrun` started."""

import os
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed

__all__ = ["ProcessGroup"]

Part = TypeVar("Part")


@dataclass(frozen=True)
class ProcessGroup:
    """This process among `size` that do the same work on different parts of the data.

    Attributes:
        rank: Its number, from 0.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def found(cls) -> "ProcessGroup":
        """Those that `torchrun` started this process among, connected; else this one alone."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        if not distributed.is_initialized():
            # What an atlas shares is small and lies on the CPU; gradients lie where the work is.
            several = torch.cuda.is_available() and distributed.is_nccl_available()
            distributed.init_process_group("cpu:gloo,cuda:nccl" if several else "gloo")
        return cls(distributed.get_rank(), size)

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and talks."""
        return self.rank == 0

    def all_gather(self, part: Part) -> list[Part]:
        """Every process's part, by rank; all wait until all have given theirs."""
        if self.size == 1:
            return [part]
        given: list[Part] = [part] * self.size
        distributed.all_gather_object(given, part)
        return given

    def device(self, kind: torch.device) -> torch.device:
        """A device of its own where a machine has several of that kind."""
        if kind.type == "cuda" and kind.index is None and self.size > 1:
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return kind

    def close(self) -> None:
        """Let go of the others."""
        if self.size > 1:
            distributed.destroy_process_group()
