"""The changes lead from any table to any other, and touch no more than they must."""

from dataclasses import fields
from ipaddress import IPv4Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from net_manager.core import service_table as core
from net_manager.core.commands import Ip
from net_manager.core.service_table import ServiceTable

addresses: st.SearchStrategy[Ip] = st.integers(1, 6).map(lambda last: IPv4Address(f"10.30.0.{last}"))
plain = st.dictionaries(addresses, addresses)
tables = st.builds(
    ServiceTable,
    direct=plain,
    identities=plain,
    round_robin=st.dictionaries(addresses, st.lists(addresses, unique=True, min_size=1).map(tuple)),
)


class Kernel:
    """Refuses what nftables refuses: adding what is there, removing what is not."""

    def __init__(self, table: ServiceTable) -> None:
        self.direct, self.identities = dict(table.direct), dict(table.identities)
        self.slots = {(one, slot): t for one, ts in table.round_robin.items() for slot, t in enumerate(ts)}
        self.widths = {one: len(targets) for one, targets in table.round_robin.items()}

    def apply(self, change: core.TableChange) -> None:
        values = [getattr(change, one.name) for one in fields(change)]
        match change:
            case core.SetDirect():
                self.put(self.direct, values[0], *values[1:])
            case core.SetIdentity():
                self.put(self.identities, values[0], *values[1:])
            case core.SetSlot():
                self.put(self.slots, (values[0], values[1]), *values[2:])
            case core.RemoveDirect():
                del self.direct[change.address]
            case core.RemoveIdentity():
                del self.identities[change.source]
            case core.RemoveSlot():
                del self.slots[change.service, change.slot]
            case core.AddService():
                self.put(self.widths, change.service, 0, None)
            case core.SetWidth():
                assert change.service in self.widths
                self.widths[change.service] = change.width
            case core.RemoveService():
                del self.widths[change.service]

    def put(self, entries: dict[Any, Any], key: object, value: object, replaces: object) -> None:
        assert entries.get(key) == replaces
        entries[key] = value


@given(tables, tables)
def test_changes_lead_to_the_wanted_table(wanted: ServiceTable, seen: ServiceTable) -> None:
    kernel = Kernel(seen)
    for change in core.changes(wanted, seen):
        kernel.apply(change)
    assert (kernel.direct, kernel.identities) == (wanted.direct, wanted.identities)
    assert kernel.widths == {one: len(targets) for one, targets in wanted.round_robin.items()}
    for service, targets in wanted.round_robin.items():
        assert {kernel.slots.pop((service, slot)) for slot in range(len(targets))} == set(targets)
    assert kernel.slots == {}


@given(tables)
def test_nothing_is_done_when_nothing_differs(table: ServiceTable) -> None:
    assert core.changes(table, table) == ()


def test_a_replaced_instance_is_one_entry() -> None:
    service, first, second, third = (IPv4Address(f"10.30.0.{last}") for last in range(1, 5))
    seen = ServiceTable(round_robin={service: (first, second)})
    assert core.changes(ServiceTable(round_robin={service: (third, second)}), seen) == (
        core.SetSlot(service, 0, third, first),
    )
    assert core.changes(ServiceTable(round_robin={service: (second, first)}), seen) == ()
