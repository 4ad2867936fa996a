"""Root, three clusters and thirty nodes under seeded faults converge to what was acknowledged."""

import os
from random import Random

import pytest

from tests.simulation.checks import check_always, check_converged
from tests.simulation.faults import Faults
from tests.simulation.world import World

SEEDS = int(os.environ.get("HEDGEROW_SEEDS", "200"))
FIRST_SEED = int(os.environ.get("HEDGEROW_FIRST_SEED", "0"))
PER_TEST = 25
TROUBLE_STEPS = 60
HEAL_S = 90.0
CALM_CHECK_S = 5.0


@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + SEEDS, PER_TEST))
def test_converges(first: int) -> None:
    for seed in range(first, min(first + PER_TEST, FIRST_SEED + SEEDS)):
        run_seed(seed)


def run_seed(seed: int) -> World:
    world = World(seed)
    world.run(3.0)
    faults = Faults(world, Random(seed + 3))
    world.disturb()
    for _ in range(TROUBLE_STEPS):
        if world.random.random() < 0.3:
            world.user.act()
        faults.step()
        world.step()
        check_always(world)
    faults.end_all()
    world.calm()
    try:
        heal(world)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}\n" + "\n".join(faults.history)) from error
    return world


def heal(world: World) -> None:
    """Until it has converged; and then it stays so."""
    end_s = world.clock.monotonic_s() + HEAL_S
    while True:
        world.run(CALM_CHECK_S)
        check_always(world)
        try:
            check_converged(world)
            break
        except AssertionError:
            if world.clock.monotonic_s() >= end_s:
                raise
    before = {node.name: sorted(node.runtime.running()) for node in world.nodes}
    world.run(CALM_CHECK_S)
    check_converged(world)
    assert before == {node.name: sorted(node.runtime.running()) for node in world.nodes}
