"""The golden files of joining: both sides read them, and write them just so."""

import json
from pathlib import Path

import pytest

from edge_common.model.ids import ChildId
from edge_common.wire.codec import decode, encode
from edge_common.wire.join_messages import ChildKind, JoinAnswer, JoinRequest, MqttAccess

GOLDEN = Path(__file__).parent / "golden"
CHILD = ChildId("5f0c2d9a7b3e4f1c8d6a0b2e")
REQUEST = JoinRequest(
    ChildKind.NODE,
    "shed",
    "q1nH0cPqkRzJm3S0mXwq7o0u1n5mN2k4d8sY6tLzVbA",
    "0a1b2c3d.Zk3vX9pQ2rT7uW1yB4nM6cD8eF0gH5jK3lS9aVxOiPw",
    {"architecture": "arm64"},
)
ANSWER = JoinAnswer(CHILD, "garden", MqttAccess("192.0.2.7", 10003, CHILD, "m0Q5xYt2Wq8rLk3vNs7zPb1cHd9fJg4e"))


@pytest.mark.parametrize(("file", "message"), [("join_request.json", REQUEST), ("join_answer.json", ANSWER)])
def test_is_read_and_written_as_in_its_golden_file(file: str, message: JoinRequest | JoinAnswer) -> None:
    golden = (GOLDEN / file).read_bytes()
    assert decode(type(message), golden) == message
    assert json.loads(encode(message)) == json.loads(golden)


@pytest.mark.parametrize("message", [REQUEST, ANSWER])
def test_shows_no_secret_when_printed(message: JoinRequest | JoinAnswer) -> None:
    assert "q1nH0cPq" not in repr(message)
    assert "Zk3vX9pQ" not in repr(message)
    assert "m0Q5xYt2" not in repr(message)
