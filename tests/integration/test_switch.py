"""The switch of the tests that need many hosts: what it is told to lose is lost without a sound, and nothing else."""

import secrets
from collections.abc import Iterator

import pytest

from tests.parts import netns
from tests.parts.switch import Plug, Switch, make_switch
from tests.support import eventually

pytestmark = pytest.mark.real

PORT = 7000
PATIENCE_S = 0.3


@pytest.fixture
def switch() -> Iterator[Switch]:
    with make_switch(secrets.token_hex(3)) as made:
        yield made


def hears(server: Plug, client: Plug) -> bool:
    """Whether a connection comes about; one that is refused or told that nobody is there fails the test."""
    with netns.listener(server.path, server.address, PORT):
        try:
            netns.connected(client.path, server.address, PORT, timeout_s=PATIENCE_S).close()
        except TimeoutError:
            return False
    return True


@pytest.mark.parametrize(("sender", "receiver"), [("first", "second"), ("second", "first")])
def test_one_direction_is_cut_and_healed(switch: Switch, sender: str, receiver: str) -> None:
    first, second, third = switch.plug_in("first"), switch.plug_in("second"), switch.plug_in("third")
    assert hears(first, second)
    switch.cut(sender, receiver)
    assert not hears(first, second)
    assert hears(first, third)
    assert hears(third, second)
    switch.heal(sender, receiver)
    assert hears(first, second)


def test_all_cuts_are_healed_at_once(switch: Switch) -> None:
    first, second = switch.plug_in("first"), switch.plug_in("second")
    for pair in (("first", "second"), ("second", "first")):
        switch.cut(*pair)
    assert not hears(first, second)
    switch.heal_all()
    assert hears(first, second)


def test_a_cable_is_pulled_out_and_put_back(switch: Switch) -> None:
    first, second = switch.plug_in("first"), switch.plug_in("second")
    assert hears(first, second)
    switch.pull_out("first")
    assert not hears(second, first)
    switch.put_back("first")
    eventually(lambda: hears(second, first), message="the cable is back")
