"""Containers, made by containerd and runc."""

from node_engine.adapters.runtimes.containerd.registry import RegistrySettings
from node_engine.adapters.runtimes.containerd.runtime import ContainerdRuntime

__all__ = ["ContainerdRuntime", "RegistrySettings"]
