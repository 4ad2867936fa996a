"""What goes into documents: the same boxes each time, opened only when they have to be made."""

from collections.abc import Callable

import pytest

from edge_common.link import sealer as module
from edge_common.link.sealer import Sealer
from edge_common.model.errors import Broken, Unreachable
from edge_common.model.values import SealedValue, ValueId, ValueKind, ValueRef, sealing_context
from edge_common.plumbing.sealing import SealingKey

ROOT, CLUSTER, NODE = (SealingKey(bytes([n]) * 32) for n in (1, 2, 3))


def ref(number: int = 1, version: int = 1) -> ValueRef:
    return ValueRef(ValueKind.SECRET, f"name-{number}", ValueId(f"v{number}"), version)


def opened(key: SealingKey, sealed: SealedValue) -> bytes:
    return key.open(sealed.box, sealing_context(sealed.value_id, sealed.version))


class Opener:
    def __init__(self, answer: Callable[[ValueRef], bytes] = lambda each: each.name.encode()) -> None:
        self.asked: list[ValueRef] = []
        self._answer = answer

    def __call__(self, each: ValueRef) -> bytes:
        self.asked.append(each)
        return self._answer(each)


def test_a_value_goes_down_two_links() -> None:
    refs = (ref(1), ref(2))
    for_cluster = Sealer(ROOT).seal_all(refs, CLUSTER.public, Opener())
    for_node = Sealer(CLUSTER).seal_on(refs, for_cluster, NODE.public)
    assert [opened(NODE, each) for each in for_node] == [b"name-1", b"name-2"]
    assert for_node == Sealer(CLUSTER).seal_on(refs, for_cluster, NODE.public)
    assert not {each.box for each in for_cluster} & {each.box for each in for_node}


def test_a_box_is_made_once() -> None:
    sealer, opener = Sealer(ROOT), Opener()
    first = sealer.seal_all([ref()], CLUSTER.public, opener)
    assert sealer.seal_all([ref()], CLUSTER.public, opener) == first and len(opener.asked) == 1
    sealer.seal_all([ref(version=2)], CLUSTER.public, opener)
    sealer.seal_all([ref()], NODE.public, opener)
    assert len(opener.asked) == 3


def test_another_box_from_above_is_opened_again() -> None:
    """The root may have been restored from a backup and given the same version another value."""
    sealer = Sealer(CLUSTER)
    for value in (b"one", b"two"):
        held = Sealer(ROOT).seal_all([ref()], CLUSTER.public, Opener(lambda _, value=value: value))  # type: ignore[misc]
        (passed_on,) = sealer.seal_on([ref()], held, NODE.public)
        assert opened(NODE, passed_on) == value


def test_what_cannot_be_sealed_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    def answer(each: ValueRef) -> bytes:
        if each == ref(1):
            raise Broken("It is gone.")
        return b"the value"

    sealed = Sealer(ROOT).seal_all([ref(1), ref(2)], CLUSTER.public, Opener(answer))
    assert [each.value_id for each in sealed] == ["v2"]
    assert "value=v1 version=1" in caplog.text and "the value" not in caplog.text
    not_ours = Sealer(ROOT).seal_all([ref()], NODE.public, Opener())
    assert Sealer(CLUSTER).seal_on([ref()], not_ours, NODE.public) == ()
    assert Sealer(CLUSTER).seal_on([ref(version=2)], sealed, NODE.public) == ()


def test_a_child_without_a_key_gets_nothing() -> None:
    opener = Opener()
    assert Sealer(ROOT).seal_all([ref()], "", opener) == () and opener.asked == []
    assert Sealer(ROOT).seal_all([ref()], "no key", Opener()) == ()


def test_a_store_that_does_not_answer_is_no_reason_to_leave_anything_out() -> None:
    def answer(_: ValueRef) -> bytes:
        raise Unreachable("The store does not answer.")

    with pytest.raises(Unreachable):
        Sealer(ROOT).seal_all([ref()], CLUSTER.public, Opener(answer))


def test_memory_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    sealer, opener = Sealer(ROOT), Opener()
    for number in (1, 2, 3, 1, 4):
        sealer.seal_all([ref(number)], CLUSTER.public, opener)
    assert len(opener.asked) == 4
    sealer.seal_all([ref(1)], CLUSTER.public, opener)
    assert len(opener.asked) == 4
    sealer.seal_all([ref(2)], CLUSTER.public, opener)
    assert len(opener.asked) == 5
