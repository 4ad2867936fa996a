"""`python -m cluster_orchestrator` runs a whole cluster tier, set up by HEDGEROW_CLUSTER_* in the environment.

`setup` prepares what its containers share (`setup -h` says more), `health` asks the tier on this machine how it is.
"""

import sys

from cluster_orchestrator.settings import PREFIX, Settings
from edge_common.link.tier_commands import main
from edge_common.plumbing.process import Runnable


def build(settings: Settings) -> Runnable:
    from cluster_orchestrator.app import App  # its libraries take half a second to load; the other commands need none

    return App(settings)


if __name__ == "__main__":
    sys.exit(main("cluster", Settings, PREFIX, build, sys.argv[1:]))
