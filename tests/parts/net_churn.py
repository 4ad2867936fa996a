"""`python -m tests.parts.net_churn NAMESPACE PREFIX`: makes and removes an instance's network until it is killed."""

import sys
from ipaddress import ip_interface

from net_manager.adapters import namespaces
from net_manager.core.links import Names, NodeNetwork
from tests.parts.netns import Host

GATEWAYS = ("10.16.0.1/26", "fc00::1/120")


def churn(namespace: str, prefix: str) -> None:
    node = NodeNetwork(frozenset(map(ip_interface, GATEWAYS)), 1450)
    host = Host(namespace, Names(prefix), node, GATEWAYS)
    while namespaces.is_whole(namespace):
        host.want("churned", "10.16.0.2/26", "fc00::2/120")
        host.settle()
        host.instances.clear()
        host.settle()


if __name__ == "__main__":
    churn(*sys.argv[1:])
