"""Ports of the host that an instance on its way out may still hold."""

from collections.abc import Iterable

from node_engine.core.record import Record


def hindrance(starting: Record, leaving: Iterable[Record]) -> str:
    """Why `starting` has to wait, in a sentence; "" when no one that leaves holds a port that it asks for."""
    wanted = {(port.host_port, port.transport) for port in starting.spec.ports}
    if not wanted:
        return ""
    for record in leaving:
        for port in record.spec.ports:
            if (port.host_port, port.transport) in wanted:
                return (
                    f"waits for port {port.host_port}/{port.transport} of the node until instance {record.instance_id} "
                    f"of {record.spec.name} is stopped"
                )
    return ""
