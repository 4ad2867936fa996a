"""A process that is killed while it makes and removes networks leaves nothing that the next start does not sweep."""

import subprocess
import sys
from random import Random

import pytest

from tests.parts import net_churn, netns
from tests.support import eventually

pytestmark = pytest.mark.real

KILLS = 6


def test_a_killed_process_leaves_nothing_that_stays() -> None:
    random = Random(4)
    with netns.host(*net_churn.GATEWAYS) as host:
        host.settle()
        for _ in range(KILLS):
            churning = subprocess.Popen(
                [sys.executable, "-m", "tests.parts.net_churn", host.namespace, host.names.prefix]
            )
            looks = random.randrange(1, 6)
            try:
                eventually(lambda: host.leftovers(), timeout_s=30.0, interval_s=0.001)
                for _ in range(looks):
                    host.leftovers()
            finally:
                churning.kill()
                churning.wait(10.0)
            host.settle()
            assert host.leftovers() == set()
            assert host.wanted_changes() == ()
