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
    ("why", "is_gone", "withdrawn_at", "acked", "is_full", "is_observed", "is_reported"),
    [
        ("it was acknowledged, and never spoken of", True, 5, 5, False, False, False),
        ("a later revision was acknowledged", True, 5, 9, False, False, False),
        ("it was not acknowledged yet", False, 5, 4, False, False, False),
        ("the child was not told yet", False, None, 9, True, False, False),
        ("it ran, and may be stopping", False, 5, 5, False, True, False),
        ("it ran, and is not among all there is", True, 5, 5, True, True, False),
        ("it is still there", False, 5, 5, True, True, True),
        ("it is spoken of for the first time", False, 5, 5, False, False, True),
        ("all there is was said before it was withdrawn", False, 5, 4, True, True, False),
    ],
)
def test_gone(
    why: str, is_gone: bool, withdrawn_at: int | None, acked: int, is_full: bool, is_observed: bool, is_reported: bool
) -> None:
    left = gone(
        [STOPPING],
        observed={A} if is_observed else set(),
        reported={A} if is_reported else set(),
        is_full=is_full,
        acked_revision=acked,
        withdrawn_at={WEB: withdrawn_at}.get,
    )
    assert left == ([STOPPING] if is_gone else []), why
