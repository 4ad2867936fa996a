"""What goes over the wire stays readable: each message against the file that shows it, on both sides.

A golden file changes only together with a decision about older readers. `python -m tests.wire.test_golden` writes those
that are missing.
"""

import dataclasses
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.errors import HedgerowError, Incompatible, InvalidInput
from edge_common.model.instance import Observation
from edge_common.wire import join_messages, messages, net_messages
from edge_common.wire.codec import decode, encode, from_document, to_document
from edge_common.wire.derive import MAX_TEXT, schema_of
from edge_common.wire.messages import Manifest, Presence, Report
from edge_common.wire.version import MAJOR
from tests.wire.samples import SAMPLES

GOLDEN = Path(__file__).parent / "golden"


def messages_of(*modules: ModuleType) -> list[type[Any]]:
    return [
        kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__
    ]


MESSAGES = messages_of(messages, join_messages, net_messages)
every_message = pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)


def golden_file(kind: type[Any]) -> Path:
    """JoinRequest is shown in join_request.json."""
    return GOLDEN / f"{re.sub(r'(?<!^)(?=[A-Z])', '_', kind.__name__).lower()}.json"


def golden(kind: type[Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(golden_file(kind).read_bytes())
    return document


def paths(document: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items: Any = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*path, key))


def changed(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy with another value at `path`; without it when the value is `...`."""
    copy: Any = json.loads(json.dumps(document))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return copy


@every_message
class TestEveryMessage:
    def test_it_has_a_sample_and_a_golden_file(self, kind: type[Any]) -> None:
        assert kind in SAMPLES, f"tests/wire/samples.py has no {kind.__name__}"
        assert golden_file(kind).exists(), "python -m tests.wire.test_golden writes the missing files; look at them"

    def test_the_sender_writes_the_file(self, kind: type[Any]) -> None:
        assert json.loads(encode(SAMPLES[kind])) == golden(kind)

    def test_the_receiver_reads_the_file(self, kind: type[Any]) -> None:
        assert decode(kind, golden_file(kind).read_bytes()) == SAMPLES[kind]

    def test_every_field_is_shown_with_a_value_of_its_own(self, kind: type[Any]) -> None:
        """A default in the sample would hide that a field gets lost."""
        for field in dataclasses.fields(kind):
            assert getattr(SAMPLES[kind], field.name) != field.default, field.name

    def test_the_schema_has_the_fields_of_the_class(self, kind: type[Any]) -> None:
        schema = schema_of(kind)
        fields = dataclasses.fields(kind)
        assert set(schema.fields) == {field.name for field in fields}
        required = {
            field.name
            for field in fields
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        }
        assert {name for name, field in schema.fields.items() if field.required} == required

    def test_what_has_a_default_may_be_missing(self, kind: type[Any]) -> None:
        required = {name for name, field in schema_of(kind).fields.items() if field.required}
        least = {key: value for key, value in golden(kind).items() if key in {*required, "v"}}
        decode(kind, json.dumps(least).encode())
        for name in required:
            with pytest.raises(InvalidInput) as caught:
                decode(kind, json.dumps(changed(least, (name,), ...)).encode())
            assert caught.value.field == name

    def test_unknown_fields_are_left_out_at_every_depth(self, kind: type[Any]) -> None:
        """But in what is free by design: bodies, and services listed by name."""
        newer = golden(kind) | {"from_the_future": {"deep": [1, 2]}}
        for path in list(paths(golden(kind))):
            if not {"body", "info", "services"} & set(path):
                inner: Any = newer
                for key in path:
                    inner = inner[key]
                if isinstance(inner, dict):
                    inner["from_the_future"] = 1
        assert decode(kind, json.dumps(newer).encode()) == SAMPLES[kind]

    @pytest.mark.parametrize("version", [MAJOR + 1, 0, None, "1", True, [], ...])
    def test_another_major_version_is_refused_and_said_so(self, kind: type[Any], version: Any) -> None:
        with pytest.raises(Incompatible, match=f"{kind.__name__} has version .* this side speaks version {MAJOR}"):
            decode(kind, json.dumps(changed(golden(kind), ("v",), version)).encode())


def test_every_golden_file_belongs_to_a_message() -> None:
    assert set(GOLDEN.glob("*")) == {golden_file(kind) for kind in MESSAGES}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


class TestHostileInput:
    @given(st.sampled_from(MESSAGES), st.data())
    def test_a_cut_message_is_refused(self, kind: type[Any], data: st.DataObject) -> None:
        payload = golden_file(kind).read_bytes().rstrip()
        with pytest.raises(InvalidInput):
            decode(kind, payload[: data.draw(st.integers(0, len(payload) - 1))])

    @given(st.sampled_from(MESSAGES), st.binary(max_size=40))
    def test_bytes_are_refused(self, kind: type[Any], payload: bytes) -> None:
        with pytest.raises(HedgerowError):
            decode(kind, payload)

    @given(st.sampled_from(MESSAGES), st.data())
    def test_a_mangled_message_is_read_or_refused(self, kind: type[Any], data: st.DataObject) -> None:
        document = golden(kind)
        path = data.draw(st.sampled_from(list(paths(document))))
        mangled = changed(document, path, data.draw(ANYTHING | st.just(...)))
        try:
            message = decode(kind, json.dumps(mangled).encode())
        except HedgerowError as error:
            assert str(error)
        else:
            assert isinstance(message, kind)
            check_types(message)

    @given(st.sampled_from(MESSAGES), ANYTHING)
    def test_another_document_is_read_or_refused(self, kind: type[Any], document: Any) -> None:
        try:
            check_types(from_document(kind, document))
        except HedgerowError as error:
            assert str(error)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("sequence", 2**60),
            ("sequence", 1.5),
            ("sequence", "7"),
            ("sequence", True),
            ("boot_id", 7),
            ("boot_id", "x" * (MAX_TEXT + 1)),
            ("is_full", "yes"),
            ("is_full", 1),
            ("observations", "all"),
            ("usage", {"cpu_percent": "12"}),
            ("usage", {"cpu_percent": True}),
        ],
    )
    def test_a_value_of_another_type_is_refused_by_name(self, field: str, value: Any) -> None:
        with pytest.raises(InvalidInput) as caught:
            decode(Report, json.dumps(changed(golden(Report), (field,), value)).encode())
        assert caught.value.field.startswith(field)

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "9" * 5_000])
    def test_a_number_that_is_none_is_refused(self, text: str) -> None:
        payload = f'{{"v": 1, "boot_id": "b", "sequence": 1, "acked_revision": 0, "usage": {{"cpu_percent": {text}}}}}'
        with pytest.raises(InvalidInput):
            decode(Report, payload.encode())

    @pytest.mark.parametrize("payload", [b"", b"[]", b"null", b'"v"', b"[" * 100_000, b"\xff\xfe", b'{"v":1}'])
    def test_what_is_no_object_is_refused(self, payload: bytes) -> None:
        with pytest.raises(InvalidInput):
            decode(Manifest, payload)

    def test_the_same_key_twice_is_the_last_one(self) -> None:
        assert decode(Presence, b'{"v":1,"is_online":true,"is_online":false}') == Presence(is_online=False)


def check_types(message: Any) -> None:
    """Nothing gets in that the annotations do not allow."""
    hints = get_type_hints(type(message))
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        hint = hints[field.name]
        if hint in (int, float, str, bool):
            assert type(value) is hint, field.name
        if dataclasses.is_dataclass(value):
            check_types(value)


def test_an_observation_of_a_state_that_we_do_not_know_is_refused() -> None:
    document = to_document(SAMPLES[Report].observations[0]) | {"state": "HIBERNATING"}
    with pytest.raises(InvalidInput) as caught:
        from_document(Observation, document)
    assert caught.value.field == "state"


def write_missing() -> None:
    for kind in MESSAGES:
        if not golden_file(kind).exists():
            document = json.loads(encode(SAMPLES[kind]))
            golden_file(kind).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write_missing()
