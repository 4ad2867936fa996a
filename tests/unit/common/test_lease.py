"""When a standby may take a lease: what it has seen, and for how long."""

import pytest

from edge_common.plumbing.documents.lease import Lease, Patience

MINE = Lease("root", "a", "a1", "here")


def lease(holder: str, version: int) -> Lease:
    return Lease("root", holder, f"{holder}1", "there", version)


@pytest.mark.parametrize(
    ("looks", "may"),
    [
        ([(0.0, lease("b", 1))], False),
        ([(0.0, lease("b", 1)), (9.9, lease("b", 1))], False),
        ([(0.0, lease("b", 1)), (10.0, lease("b", 1))], True),
        ([(0.0, lease("b", 1)), (9.0, lease("b", 2)), (18.9, lease("b", 2))], False),
        ([(0.0, lease("b", 1)), (9.0, lease("b", 2)), (19.0, lease("b", 2))], True),
        ([(0.0, lease("b", 1)), (9.0, lease("c", 2)), (10.0, lease("c", 2))], False),
        ([(0.0, lease("", 5))], True),
        ([(0.0, lease("a", 5))], True),
        ([(0.0, lease("b", 1)), (1000.0, lease("b", 2))], False),
    ],
)
def test_patience(looks: list[tuple[float, Lease]], may: bool) -> None:
    patience = Patience(10.0)
    answers = [patience.may_take(found, MINE, at_s) for at_s, found in looks]
    assert answers[-1] is may
    assert not any(answers[:-1])
