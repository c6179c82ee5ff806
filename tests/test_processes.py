"""A process alone, and what it knows of others."""

import torch

from deconvviz.processes import ProcessGroup


def test_a_process_alone_leads_and_keeps_what_it_has(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    processes = ProcessGroup.from_environment()
    assert processes == ProcessGroup(0, 1)
    assert processes.is_main
    assert processes.all_gather("mine") == ["mine"]
    processes.close()


def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert ProcessGroup(3, 4).device(gpu) == torch.device("cuda", 3)
    assert ProcessGroup(3, 4).device(torch.device("cuda", 1)) == torch.device("cuda", 1)
    assert ProcessGroup(0, 1).device(gpu) == gpu
    assert ProcessGroup(3, 4).device(cpu) == cpu
