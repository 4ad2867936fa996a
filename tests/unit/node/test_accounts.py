"""Who a container runs as."""

import pytest

from edge_common.model.errors import InvalidInput
from node_engine.core.accounts import resolve
from node_engine.core.container_spec import Identity

PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/var/www:\nbroken\n7:x:8:9::/seven:\n"
GROUP = "root:x:0:\nweb:x:34:\nlogs:x:50:web,root\n"


@pytest.mark.parametrize(
    ("user", "identity"),
    [
        ("", Identity()),
        ("0", Identity()),
        ("0:0", Identity()),
        ("web", Identity(33, 34, (50,), "/var/www")),
        ("33", Identity(33, 34, (50,), "/var/www")),
        ("web:logs", Identity(33, 50, (), "/var/www")),
        ("web:77", Identity(33, 77, (), "/var/www")),
        ("1234", Identity(1234, 0, (), "/")),
        ("1234:5", Identity(1234, 5, (), "/")),
        ("7", Identity(8, 9, (), "/seven")),
    ],
)
def test_users(user: str, identity: Identity) -> None:
    assert resolve(user, PASSWD, GROUP) == identity


@pytest.mark.parametrize("user", ["nobody", "web:nobody", "-1", "4294967296", "web:", ":", "1:4294967296"])
def test_unknown_ones_are_refused(user: str) -> None:
    with pytest.raises(InvalidInput):
        resolve(user, PASSWD, GROUP)
