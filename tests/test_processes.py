"""A process alone, and what it is told of others."""

import torch

from deconvviz.processes import Peers


def test_a_process_alone_leads_and_keeps_what_it_has(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    peers = Peers.found()
    assert peers == Peers(0, 1)
    assert peers.leads
    assert peers.share("mine") == ["mine"]
    peers.close()


def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert Peers(3, 4).device(gpu) == torch.device("cuda", 3)
    assert Peers(3, 4).device(torch.device("cuda", 1)) == torch.device("cuda", 1)
    assert Peers(0, 1).device(gpu) == gpu
    assert Peers(3, 4).device(cpu) == cpu
