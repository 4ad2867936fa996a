"""Asks instances how they are, from the node or from within."""

from node_engine.adapters.probing.prober import InstanceProber

__all__ = ["InstanceProber"]
