"""What an instance gets of its values, how a registry login may be written, and what the entry program is made from."""

import base64
import hashlib
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from edge_common.model.errors import InvalidInput, NotFound
from edge_common.model.ids import ApplicationId, InstanceId, ServiceId
from edge_common.model.lifecycle import Reason
from edge_common.model.service import ServiceSpec
from edge_common.model.values import Attachment, OpenValue, SealedValue, ValueId, ValueKind, ValueRef
from edge_common.plumbing.sealing import SealingKey
from node_engine.adapters.runtimes.containerd import entry_programs
from node_engine.adapters.runtimes.containerd.entry import entry_program
from node_engine.adapters.runtimes.containerd.registry_auth import parse_login
from node_engine.core.record import Record, with_sealed
from node_engine.core.task import TaskKey, TaskPlan
from node_engine.core.value_files import ENTRY, ENVIRONMENT, files_of, started_by_entry
from node_engine.operator import opening_with
from node_engine.ports import TaskFailure

KEY = ValueRef(ValueKind.SECRET, "key", ValueId("v1"), 1)
SITE = ValueRef(ValueKind.CONFIG, "site", ValueId("v2"), 4)
SPEC = ServiceSpec(ServiceId("s1"), ApplicationId("a1"), "a.b.c.d", "container", "image")
PARENT, NODE = SealingKey(bytes(32)), SealingKey(bytes([1]) * 32)


def plan(*attachments: Attachment, **values: bytes) -> TaskPlan:
    refs = {"key": KEY, "site": SITE}
    opened = tuple(OpenValue(refs[name].value_id, refs[name].version, data) for name, data in values.items())
    return TaskPlan(TaskKey(InstanceId("i1"), 1), replace(SPEC, attachments=attachments), 0, values=opened)


def sealed(ref: ValueRef, data: bytes) -> SealedValue:
    return SealedValue(ref.value_id, ref.version, PARENT.seal(data, NODE.public, f"{ref.value_id}/{ref.version}"))


def test_files_and_the_environment() -> None:
    asked = (
        Attachment(KEY, variable="A"),
        Attachment(SITE, path="/s", mode=0o444, uid=7),
        Attachment(KEY, variable="B"),
    )
    files = files_of(plan(*asked, key=b"k=\n", site=b"x"))
    assert [(f.path, f.data, f.mode, f.uid) for f in files] == [
        ("/s", b"x", 0o444, 7),
        (ENVIRONMENT, b"A=k=\n\0B=k=\n\0", 0o400, None),
    ]
    assert started_by_entry(["run", "-x"], plan(*asked)) == [ENTRY, "run", "-x"]
    assert started_by_entry(["run"], plan(asked[1])) == ["run"]


def test_what_was_not_opened_is_missing() -> None:
    with pytest.raises(NotFound, match="secret key version 1 did not come"):
        files_of(plan(Attachment(KEY, path="/k")))


def test_a_plan_is_opened_by_its_node_alone() -> None:
    closed = replace(plan(Attachment(KEY, path="/k")), sealed=(sealed(KEY, b"the value"),))
    assert opening_with(NODE)(closed).value_of(KEY) == b"the value"
    with pytest.raises(TaskFailure, match="secret key version 1 cannot be opened") as caught:
        opening_with(PARENT)(closed)
    assert caught.value.reason is Reason.START_FAILED and not caught.value.is_permanent


def test_no_repr_has_a_value() -> None:
    opened = opening_with(NODE)(replace(plan(Attachment(KEY, path="/k")), sealed=(sealed(KEY, b"the value"),)))
    assert "the value" not in repr(opened) + repr(files_of(opened)) + repr(opened.values)
    assert "hunter2" not in repr(parse_login(b"me:hunter2", "login"))


def test_a_record_keeps_what_its_own_spec_names() -> None:
    record = Record(InstanceId("i1"), ServiceId("s1"), 0, replace(SPEC, attachments=(Attachment(KEY, path="/k"),)), 1)
    assert record.missing_values == (KEY,)
    newer = replace(KEY, version=2)
    assert with_sealed(record, [sealed(newer, b"n"), sealed(SITE, b"s")]) == record
    with_one = with_sealed(record, [sealed(KEY, b"a"), sealed(newer, b"n")])
    assert with_one.sealed == (sealed(KEY, b"a"),) and with_one.missing_values == ()
    assert with_sealed(with_one, []) == with_one
    assert with_sealed(with_one, [sealed(KEY, b"sealed anew")]).sealed == (sealed(KEY, b"sealed anew"),)


AUTH = base64.b64encode(b"me:pass:word").decode()


@pytest.mark.parametrize(
    "text",
    [
        "me:pass:word",
        " me:pass:word\n",
        '{"username": "me", "password": "pass:word"}',
        f'{{"auth": "{AUTH}"}}',
        f'{{"auths": {{"https://r.example": {{"auth": "{AUTH}"}}}}}}',
    ],
)
def test_a_login_is_written_in_one_of_these_ways(text: str) -> None:
    assert parse_login(text.encode(), "secret r").basic_for("r.example") == AUTH


def test_a_login_for_other_registries_is_none_for_this_one() -> None:
    login = parse_login(f'{{"auths": {{"r.example": {{"auth": "{AUTH}"}}}}}}'.encode(), "secret r")
    assert login.basic_for("s.example") == ""


@pytest.mark.parametrize(
    "data", [b"", b"hunter2", b":hunter2", b"hunter2:", b"{hunter2", b"\xffhunter2", b'{"a": "hunter2"}']
)
def test_what_is_no_login_is_refused_without_saying_what_it_is(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="secret r") as caught:
        parse_login(data, "secret r")
    assert "hunter2" not in str(caught.value)


def test_the_entry_programs_are_made_from_the_source() -> None:
    source = Path(entry_programs.__file__).with_name("entry.c").read_bytes()
    assert hashlib.sha256(source).hexdigest() == entry_programs.SOURCE, "run scripts/entry"
    for architecture in ("amd64", "arm64"):
        assert entry_program(architecture).startswith(b"\x7fELF") and len(entry_program(architecture)) < 4096
    with pytest.raises(TaskFailure, match="as files"):
        entry_program("riscv64")


def test_the_entry_program_says_that_it_has_no_file(tmp_path: Path) -> None:
    """Elsewhere than in an instance there is none."""
    program = tmp_path / "entry"
    program.write_bytes(entry_program("amd64" if os.uname().machine == "x86_64" else "arm64"))
    program.chmod(0o755)
    assert not Path(ENVIRONMENT).exists()
    done = subprocess.run([program, "true"], capture_output=True, timeout=10, check=False)
    assert done.returncode == 126 and done.stderr == f"hedgerow: cannot read {ENVIRONMENT}\n".encode()
