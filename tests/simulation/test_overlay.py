"""Addresses in a world of faults: nothing is ever shared, and in the end each has what it needs and nothing is left."""

import os
from collections import Counter
from random import Random

import pytest

from tests.simulation.checks import check_converged
from tests.simulation.faults import Faults
from tests.simulation.network import NAMES, SimulatedNetwork
from tests.simulation.world import Shape, World

SEEDS = int(os.environ.get("HEDGEROW_SEEDS", "10"))
FIRST_SEED = int(os.environ.get("HEDGEROW_FIRST_SEED", "0"))
MOST_SEEDS = 25
STEPS = 40
HEAL_S = 180.0
CHECK_S = 5.0


def networks(world: World) -> list[SimulatedNetwork]:
    return [node.network for node in world.nodes if isinstance(node.network, SimulatedNetwork)]


def disturb(world: World, random: Random) -> None:
    """A network manager dies, and comes back a while later, with its disk or without."""
    for network in networks(world):
        if network.service is None:
            if random.random() < 0.3:
                network.start()
        elif random.random() < 0.02:
            (network.crash if random.random() < 0.8 else network.lose_disk)()


def check_nothing_is_shared(world: World) -> None:
    for what in ("subnets", "addresses"):
        counts = Counter(each for network in networks(world) for each in getattr(network, what)())
        assert not [each for each, count in counts.items() if count > 1], f"{what} of two: {counts.most_common(3)}"


def check_each_has_its_own(world: World) -> None:
    for node, network in zip(world.nodes, networks(world), strict=True):
        wanted = {NAMES.namespace(instance_id) for instance_id in node.runtime.running()}
        assert network.namespaces() == wanted, f"{node.name} has {network.namespaces()}, wanted {wanted}"
        assert len(network.subnets()) == 1, node.name


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + min(SEEDS, MOST_SEEDS)))
def test_networks_converge_and_nothing_is_ever_shared(seed: int) -> None:
    world = World(seed, Shape(2, 4), SimulatedNetwork)
    random = Random(seed + 4)
    world.run(15.0)
    faults = Faults(world, Random(seed + 3))
    world.disturb()
    for _ in range(STEPS):
        if world.random.random() < 0.3:
            world.user.act()
        faults.step()
        disturb(world, random)
        world.step()
        check_nothing_is_shared(world)
    faults.end_all()
    world.calm()
    for network in networks(world):
        if network.service is None:
            network.start()
    end_s = world.clock.monotonic_s() + HEAL_S
    while True:
        world.run(CHECK_S)
        check_nothing_is_shared(world)
        try:
            check_converged(world)
            check_each_has_its_own(world)
            return
        except AssertionError:
            if world.clock.monotonic_s() >= end_s:
                raise
