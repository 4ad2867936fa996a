import pytest

from edge_common.link.join_refusals import Ground, JoinRefused
from edge_common.link.nonces import NONCE_LIFE_S, Nonces
from edge_common.model.errors import Overloaded
from edge_common.plumbing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def nonces(clock: FakeClock) -> Nonces:
    return Nonces(clock, capacity=3)


def ground_of(nonces: Nonces, nonce: str) -> Ground:
    with pytest.raises(JoinRefused) as refusal:
        nonces.check(nonce)
    return refusal.value.ground


def test_one_is_good_for_a_minute(nonces: Nonces, clock: FakeClock) -> None:
    nonce = nonces.new()
    clock.advance(NONCE_LIFE_S)
    nonces.check(nonce)
    clock.advance(1)
    assert ground_of(nonces, nonce) is Ground.STALE_NONCE


def test_one_is_good_once(nonces: Nonces) -> None:
    nonce = nonces.new()
    nonces.check(nonce)
    nonces.spend(nonce)
    assert ground_of(nonces, nonce) is Ground.REPLAYED
    with pytest.raises(JoinRefused):
        nonces.spend(nonce)


def test_no_two_are_alike(nonces: Nonces) -> None:
    assert len({nonces.new() for _ in range(1_000)}) == 1_000


def test_those_of_another_parent_are_strangers(nonces: Nonces, clock: FakeClock) -> None:
    assert ground_of(nonces, Nonces(clock).new()) is Ground.STALE_NONCE


def test_a_changed_one_is_a_stranger(nonces: Nonces) -> None:
    stamp, salt, seal = nonces.new().split(".")
    for changed in (
        f"{int(stamp, 16) + 9:x}.{salt}.{seal}",
        f"{stamp}.{salt[::-1]}.{seal}",
        f"{stamp}.{salt}.{seal[:-1]}",
    ):
        assert ground_of(nonces, changed) is Ground.STALE_NONCE


def test_more_than_can_be_remembered_have_to_wait(nonces: Nonces, clock: FakeClock) -> None:
    """To forget one would let it be used again."""
    for _ in range(3):
        nonces.spend(nonces.new())
    with pytest.raises(Overloaded, match="in a minute"):
        nonces.spend(nonces.new())
    clock.advance(NONCE_LIFE_S)
    nonces.spend(nonces.new())
