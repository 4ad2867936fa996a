"""When a child is ready, suspect or lost."""

from collections.abc import Callable

import pytest

from edge_common.link.liveness import ANSWER_S, PROOF_S, SILENCE_S, Liveness
from edge_common.model.node import Readiness

LEASE_S = 3.0
Step = Callable[[Liveness], object]


def there(now_s: float = 0.0) -> Liveness:
    liveness = Liveness(LEASE_S, None)
    liveness.heard(now_s)
    return liveness


@pytest.mark.parametrize(
    ("step", "now_s", "expected"),
    [
        (lambda _: None, 20.0, Readiness.READY),
        (lambda it: it.gone(10.0), 10.0, Readiness.SUSPECT),
        (lambda it: it.gone(10.0), 12.9, Readiness.SUSPECT),
        (lambda it: it.gone(10.0), 13.0, Readiness.LOST),
        (lambda it: (it.gone(10.0), it.gone(12.0)), 13.0, Readiness.LOST),
        (lambda it: (it.gone(10.0), it.heard(12.0)), 13.0, Readiness.READY),
        (lambda it: it.must_prove(10.0), 10.0 + PROOF_S - 0.1, Readiness.SUSPECT),
        (lambda it: it.must_prove(10.0), 10.0 + PROOF_S, Readiness.LOST),
        (lambda it: (it.must_prove(10.0), it.heard(11.0)), 30.0, Readiness.READY),
    ],
)
def test_readiness(step: Step, now_s: float, expected: Readiness) -> None:
    liveness = there()
    step(liveness)
    assert liveness.readiness(now_s, is_synced=True) is expected


def test_a_child_that_has_not_said_everything_is_suspect() -> None:
    assert there().readiness(1.0, is_synced=False) is Readiness.SUSPECT


def test_a_child_that_does_not_acknowledge_within_its_lease_is_suspect_and_never_lost() -> None:
    liveness = there()
    liveness.unacked_since_s = 10.0
    assert liveness.readiness(13.0, is_synced=True) is Readiness.READY
    assert liveness.readiness(13.1, is_synced=True) is Readiness.SUSPECT
    assert liveness.readiness(1_000.0, is_synced=True) is Readiness.SUSPECT


def test_a_silent_child_is_asked_and_is_gone_when_it_does_not_answer() -> None:
    liveness = there()
    assert not liveness.wants_asking(SILENCE_S)
    assert liveness.wants_asking(SILENCE_S + 1)
    liveness.asked_s = 30.0
    assert not liveness.wants_asking(31.0)
    liveness.check(30.0 + ANSWER_S)
    assert liveness.is_online
    liveness.check(30.1 + ANSWER_S)
    assert (liveness.is_online, liveness.unheard_since_s) == (False, 30.0)


def test_an_answer_in_time_is_a_sign_of_life() -> None:
    liveness = there()
    liveness.asked_s = 30.0
    liveness.heard(33.0)
    liveness.check(60.0)
    assert liveness.is_online


def test_a_long_lease_needs_no_more_time_for_proof() -> None:
    liveness = Liveness(60.0, None)
    liveness.must_prove(10.0)
    assert liveness.readiness(69.9, is_synced=True) is Readiness.SUSPECT
    assert liveness.readiness(70.0, is_synced=True) is Readiness.LOST
