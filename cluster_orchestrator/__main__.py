"""`python -m cluster_orchestrator` runs a whole cluster tier, set up by HEDGEROW_CLUSTER_* in the environment."""

import sys

from cluster_orchestrator.app import App
from cluster_orchestrator.settings import PREFIX, Settings
from edge_common.plumbing.process import run

if __name__ == "__main__":
    sys.exit(run("cluster", Settings, PREFIX, App))
