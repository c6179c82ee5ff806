"""How stable the order of a layer's units by trust is, by the number of shuffled networks.

    python benchmarks/trust_order.py [NETWORK:DATA:LAYER ...] [--write]

`find --sort trust` and the Atlas sort units by what their projections lose when their own kernels
are shuffled. The shuffles are drawn at random, so another seed gives another order. Each row is
Spearman's rank correlation of the orders of two seeds, over all units of a layer, each in the one
of 500 test pictures where it is strongest. The last column is the processor time of one shuffled
network with its counterpart by chance.
"""

import time

import torch
from report import environment, markdown, options, publish

import deconvviz
from deconvviz.analysis.trust.similarity import rank_correlation
from deconvviz.analysis.trust.verdicts import OwnShares, own_shares
from deconvviz.deconv import Deconvnet
from deconvviz.io.data import load_for

WORK = (
    "demo:cifar10:stage2.relu2",
    "demo:cifar10:stage3.relu2",
    "demo-photos:photos20:stage2.relu",
)
NETWORKS = (5, 10, 15, 25)
PICTURES = 500


def agreement(one: OwnShares, other: OwnShares, networks: int) -> float:
    first, second = (shares.after(networks) for shares in (one, other))
    known = first.isfinite() & second.isfinite()
    return float(rank_correlation(first[None, known], second[known]))


def measure(work: str) -> list[str]:
    name, data, layer = work.split(":")
    bundle = deconvviz.load(name)
    net = Deconvnet(bundle.model, bundle.input_size)
    dataset = load_for(bundle.input_size, data, "test", progress=False)
    chosen = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[:PICTURES]
    dataset = dataset.subset(chosen.sort().values)
    began = time.process_time()
    one, other = (
        own_shares(bundle, dataset, layer, NETWORKS[-1], net=net, seed=seed) for seed in (0, 1)
    )
    each = (time.process_time() - began) / (2 * NETWORKS[-1])
    found = [f"{agreement(one, other, networks):.2f}" for networks in NETWORKS]
    return [f"{name}, {layer}", str(len(one.channels)), *found, f"{each:.1f}"]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("work", nargs="*", default=WORK, help="NETWORK:DATA:LAYER")
    given = parser.parse_args()
    head = ("network, layer", "units", *map(str, NETWORKS), "s a shuffled network")
    text = (
        f"`python benchmarks/trust_order.py`; {environment()}.\n\nSpearman's rank correlation of "
        "the orders by trust of two seeds, after so many shuffled networks; each unit in that of "
        f"{PICTURES} test pictures where it is strongest.\n\n"
        f"{markdown(head, [measure(work) for work in given.work])}"
    )
    publish("The order by trust", text, write=given.write)


if __name__ == "__main__":
    main()
