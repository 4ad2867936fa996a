"""Boxes open for one reader alone, and the same value makes the same box."""

import base64
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.errors import Broken, InvalidInput
from edge_common.model.values import MAX_BOX, MAX_VALUE_BYTES
from edge_common.plumbing.sealing import SealingKey, load_or_make_sealing_key
from edge_common.plumbing.vault import Locked, Vault, new_vault, open_vault

PARENT, CHILD, OTHER = (SealingKey(bytes([n]) * 32) for n in (1, 2, 3))
CONTEXTS = st.text(st.characters(categories=("Ll", "Nd")), min_size=1, max_size=30)


@given(st.binary(max_size=300), CONTEXTS)
def test_what_is_sealed_is_opened_by_its_reader(data: bytes, context: str) -> None:
    assert CHILD.open(PARENT.seal(data, CHILD.public, context), context) == data


@given(st.binary(max_size=300), CONTEXTS)
def test_the_same_value_makes_the_same_box(data: bytes, context: str) -> None:
    again = SealingKey(bytes([1]) * 32)
    assert PARENT.seal(data, CHILD.public, context) == again.seal(data, CHILD.public, context)


@given(st.binary(max_size=50), st.binary(max_size=50), CONTEXTS, CONTEXTS)
def test_no_two_boxes_share_a_key(data: bytes, other: bytes, context: str, another: str) -> None:
    """One nonce for all is sound only so: the first 32 bytes name the key."""
    boxes = {
        (each, where, reader.public): base64.b64decode(PARENT.seal(each, reader.public, where))[:32]
        for each in (data, other)
        for where in (context, another)
        for reader in (CHILD, OTHER)
    }
    assert len(set(boxes.values())) == len(boxes)


@given(st.binary(max_size=50), CONTEXTS)
def test_nobody_else_opens_it(data: bytes, context: str) -> None:
    box = PARENT.seal(data, CHILD.public, context)
    for reader, where in ((OTHER, context), (PARENT, context), (CHILD, context + "x")):
        with pytest.raises(InvalidInput, match="not for this machine"):
            reader.open(box, where)


@given(st.binary(max_size=50), st.data())
def test_a_changed_box_is_refused(value: bytes, data: st.DataObject) -> None:
    raw = bytearray(base64.b64decode(PARENT.seal(value, CHILD.public, "c")))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 6))
    with pytest.raises(InvalidInput):
        CHILD.open(base64.b64encode(raw).decode(), "c")


@pytest.mark.parametrize("box", ["", "x", "AAAA", base64.b64encode(bytes(32)).decode(), "ü", "A" * 200])
def test_what_is_no_box_is_refused(box: str) -> None:
    with pytest.raises(InvalidInput):
        CHILD.open(box, "c")


@pytest.mark.parametrize("recipient", ["", "x", "AAAA", base64.b64encode(bytes(31)).decode()])
def test_what_is_no_key_is_refused(recipient: str) -> None:
    with pytest.raises(InvalidInput):
        PARENT.seal(b"x", recipient, "c")


def test_the_point_that_makes_every_secret_zero_is_refused() -> None:
    with pytest.raises(InvalidInput):
        PARENT.seal(b"x", base64.b64encode(bytes(32)).decode(), "c")


def test_the_largest_value_fits_on_the_wire() -> None:
    assert len(PARENT.seal(os.urandom(MAX_VALUE_BYTES), CHILD.public, "c" * 40)) <= MAX_BOX


def test_a_key_stays_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "identity" / "sealing.key"
    first = load_or_make_sealing_key(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_or_make_sealing_key(file).public == first.public


def test_a_damaged_key_file_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "sealing.key"
    file.write_text("AAAA")
    with pytest.raises(Broken, match="damaged"):
        load_or_make_sealing_key(file)


@given(st.binary(max_size=300), CONTEXTS)
def test_a_vault_keeps_values_apart(data: bytes, context: str) -> None:
    vault = Vault(bytes(32))
    locked = vault.lock(data, context)
    assert vault.unlock(locked, context) == data
    assert vault.lock(data, context) != locked
    with pytest.raises(Broken):
        vault.unlock(locked, context + "x")


def test_another_key_is_named(tmp_path: Path) -> None:
    locked = new_vault().lock(b"x", "c")
    vault = open_vault(tmp_path / "secrets.key")
    with pytest.raises(Broken, match=rf"the key {locked.key_id}, and .*secrets.key is the key {vault.key_id}"):
        vault.unlock(locked, "c")
    with pytest.raises(Broken, match="was changed"):
        vault.unlock(Locked(vault.key_id, "AAAA"), "c")


def test_no_repr_shows_a_key() -> None:
    assert "0101" not in repr(PARENT) + repr(new_vault())


def test_the_public_half_is_kept_beside_the_key_and_only_believed_with_it(tmp_path: Path) -> None:
    file, public = tmp_path / "sealing.key", tmp_path / "sealing.key.pub"
    first = load_or_make_sealing_key(file).public
    assert load_or_make_sealing_key(file).public == first
    marked = public.read_text()
    file.unlink()
    other = load_or_make_sealing_key(file).public
    assert other != first and public.read_text() != marked
    public.write_text("nonsense")
    assert load_or_make_sealing_key(file).public == other
