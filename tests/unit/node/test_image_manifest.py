"""The documents of images."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.errors import InvalidInput
from node_engine.core.image_manifest import (
    chain_ids,
    choose_manifest,
    digest_of,
    is_index,
    parse_config,
    parse_json,
    parse_manifest,
    progress_text,
    throttled,
)

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": A, "size": 10}
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": B, "size": 5}


def platform(digest: str, architecture: str, variant: str = "", system: str = "linux") -> dict[str, Any]:
    described = {"os": system, "architecture": architecture} | ({"variant": variant} if variant else {})
    return {"mediaType": "m", "digest": digest, "size": 1, "platform": described}


@pytest.mark.parametrize(
    ("architecture", "entries", "chosen"),
    [
        ("amd64", [platform(A, "arm64", "v8"), platform(B, "amd64")], B),
        ("arm64", [platform(A, "arm64", "v8"), platform(B, "amd64")], A),
        ("arm", [platform(A, "arm", "v6"), platform(B, "arm", "v7")], B),
        ("amd64", [platform(A, "amd64", system="windows"), platform(B, "amd64")], B),
    ],
)
def test_the_manifest_of_this_architecture(architecture: str, entries: list[Any], chosen: str) -> None:
    assert choose_manifest({"manifests": entries}, architecture).digest == chosen


def test_an_image_for_others_says_for_whom() -> None:
    with pytest.raises(InvalidInput, match="linux/arm64, only for linux/amd64, windows/amd64"):
        choose_manifest({"manifests": [platform(A, "amd64"), platform(B, "amd64", system="windows")]}, "arm64")


def test_an_index_is_known_by_its_list() -> None:
    assert is_index({"manifests": []})
    assert not is_index({"layers": [], "config": {}})


@pytest.mark.parametrize(
    "change",
    [
        {"layers": []},
        {"layers": None},
        {"layers": [LAYER] * 129},
        {"layers": [LAYER | {"digest": "sha256:../x"}]},
        {"layers": [LAYER | {"size": -1}]},
        {"layers": [LAYER | {"size": True}]},
        {"layers": [LAYER | {"size": 1 << 60}]},
        {"layers": [LAYER | {"mediaType": "application/x-evil"}]},
        {"layers": ["x"]},
        {"config": None},
        {"config": CONFIG | {"size": 1 << 40}},
    ],
)
def test_impossible_manifests_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        parse_manifest(json.dumps({"layers": [LAYER], "config": CONFIG} | change).encode())


def test_a_config_as_docker_writes_it() -> None:
    document = {
        "architecture": "amd64",
        "config": {"Entrypoint": None, "Cmd": ["sh"], "Env": ["A=b"], "WorkingDir": "/w", "User": "me"},
        "rootfs": {"type": "layers", "diff_ids": [A]},
    }
    config = parse_config(json.dumps(document).encode(), 1)
    assert (config.entrypoint, config.command, config.environment) == ((), ("sh",), ("A=b",))
    assert (config.working_directory, config.user, config.chain_id) == ("/w", "me", A)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"rootfs": {"diff_ids": [A, A]}},
        {"rootfs": {"diff_ids": ["x"]}},
        {"rootfs": {"diff_ids": [A]}, "config": [1]},
        {"rootfs": {"diff_ids": [A]}, "config": {"Cmd": "sh"}},
        {"rootfs": {"diff_ids": [A]}, "config": {"Env": ["A=\0"]}},
    ],
)
def test_impossible_configs_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        parse_config(json.dumps(document).encode(), 1)


def test_each_layer_is_named_with_all_below_it() -> None:
    assert chain_ids([A]) == (A,)
    assert chain_ids([A, B]) == (A, digest_of(f"{A} {B}".encode()))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_an_object(data: bytes) -> None:
    try:
        assert isinstance(parse_json(data, "it"), dict)
    except InvalidInput:
        return


def test_progress_is_told_now_and_then() -> None:
    said: list[str] = []
    report = throttled(said.append, step_bytes=100)
    for done in range(0, 301, 10):
        report(progress_text(1, 2, done, 300), done)
    assert said == [progress_text(1, 2, done, 300) for done in (0, 100, 200, 300)]
    assert progress_text(3, 5, 12_400_000, 80_100_000) == "pulling 3/5 layers, 12.4 of 80.1 MB"
