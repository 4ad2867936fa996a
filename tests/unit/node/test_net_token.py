"""NetManager may be started just before the engine: its token is read when it is there."""

from pathlib import Path

import pytest

from edge_common.model.errors import InvalidInput, Unreachable
from node_engine.adapters.networks import open_network
from tests.support import free_port


def test_an_engine_starts_before_the_network_manager_wrote_its_token(tmp_path: Path) -> None:
    network = open_network(f"http://127.0.0.1:{free_port()}", tmp_path / "token")
    with pytest.raises(Unreachable, match="token cannot be read"):
        network.look()
    (tmp_path / "token").write_text("secret\n")
    with pytest.raises(Unreachable, match="did not answer"):
        network.look()


@pytest.mark.parametrize("url", ["http://192.0.2.1:6000", "https://127.0.0.1:6000", "unix:path", "6000"])
def test_a_network_manager_is_on_this_machine(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        open_network(url, tmp_path / "token")
