"""What joining says shows no secret when it is printed."""

import pytest

from edge_common.wire.join_messages import ChildKind, JoinAnswer, JoinRequest, MqttAccess, what_is_proven
from tests.wire.samples import SAMPLES


@pytest.mark.parametrize("kind", [JoinRequest, JoinAnswer, MqttAccess])
def test_shows_no_secret_when_printed(kind: type[object]) -> None:
    assert "Zk3vX9pQ" not in repr(SAMPLES[kind])
    assert "m0Q5xYt2" not in repr(SAMPLES[kind])


def test_what_is_proven_cannot_be_cut_in_another_way() -> None:
    one = what_is_proven("ca", "nonce", ChildKind.NODE, 'a", "b', "c")
    other = what_is_proven("ca", "nonce", ChildKind.NODE, "a", 'b", "c')
    assert one != other
