"""`python -m root_orchestrator` runs a whole root tier, set up by HEDGEROW_ROOT_* in the environment."""

import sys

from edge_common.plumbing.process import run
from root_orchestrator.app import App
from root_orchestrator.settings import PREFIX, Settings

if __name__ == "__main__":
    sys.exit(run("root", Settings, PREFIX, App))
