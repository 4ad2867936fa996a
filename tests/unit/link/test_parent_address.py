"""What children are told of their parent's broker."""

import pytest

from edge_common.link.entrance import parent_address
from edge_common.link.join_desk import ParentAddress


@pytest.mark.parametrize(
    ("mqtt_host", "child_host", "child_port", "tls", "told"),
    [
        ("127.0.0.1", "", 0, "auto", ParentAddress("p", "127.0.0.1", 10003, is_tls=False)),
        ("127.0.0.1", "", 0, "on", ParentAddress("p", "127.0.0.1", 10003, is_tls=True)),
        ("127.0.0.1", "192.0.2.7", 20003, "auto", ParentAddress("p", "192.0.2.7", 20003, is_tls=True)),
        ("broker", "", 0, "auto", ParentAddress("p", "broker", 10003, is_tls=True)),
        ("broker", "same", 20003, "auto", ParentAddress("p", "", 20003, is_tls=True)),
    ],
)
def test_where_the_broker_is(mqtt_host: str, child_host: str, child_port: int, tls: str, told: ParentAddress) -> None:
    assert parent_address("p", mqtt_host, 10003, child_host, child_port, tls) == told
