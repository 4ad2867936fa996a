"""When a parent may believe that a withdrawn instance is gone."""

import pytest

from edge_common.link.withdrawal import gone
from edge_common.model.ids import InstanceId
from edge_common.model.instance import Assignment
from edge_common.model.lifecycle import Desired
from tests.unit.link.rig import CHILD, WEB

A = InstanceId("a")
STOPPING = Assignment(A, WEB, 0, A, 1, child_id=CHILD, desired=Desired.STOPPED)


@pytest.mark.parametrize(
    ("why", "is_gone", "withdrawn_at", "acked", "is_held"),
    [
        ("it was acknowledged, and not spoken of", True, 5, 5, False),
        ("a later revision was acknowledged", True, 5, 9, False),
        ("it was not acknowledged yet", False, 5, 4, False),
        ("the child was not told yet", False, None, 9, False),
        ("it ran, and may be stopping", False, 5, 5, True),
    ],
)
def test_gone(why: str, is_gone: bool, withdrawn_at: int | None, acked: int, is_held: bool) -> None:
    held = {A} if is_held else set()
    left = gone([STOPPING], held=held, acked_revision=acked, withdrawn_at={WEB: withdrawn_at}.get)
    assert left == ([STOPPING] if is_gone else []), why
