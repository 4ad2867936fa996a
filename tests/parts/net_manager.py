"""NetManager as a process of its own, in a network namespace that is its machine."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_common.model.errors import HedgerowError
from edge_common.plumbing.http_client import HttpClient
from edge_common.plumbing.unix_client import UnixHttpClient
from net_manager.adapters import namespaces
from tests.parts.netns import Host
from tests.support import eventually

START_S = 15.0


@dataclass
class NetManagerProcess:
    """`kill` and `start` may follow each other; state and socket are in `directory`. `port` 0 is the socket."""

    host: Host
    directory: Path
    port: int = 0
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def token_file(self) -> Path:
        return self.directory / "net" / "token"

    def client(self) -> HttpClient:
        if not self.port:
            return UnixHttpClient(self.socket)
        token = self.token_file.read_text().strip() if self.token_file.exists() else None
        return HttpClient(f"http://127.0.0.1:{self.port}", token=token)

    def request(self, method: str, path: str, json: Any = None, client: HttpClient | None = None) -> Any:
        """From its own machine: loopback is another one elsewhere."""
        asked = client or self.client()
        try:
            return namespaces.within(self.host.path, lambda: asked.request(method, path, json=json))
        finally:
            asked.close()

    @property
    def socket(self) -> Path:
        return self.directory / "net.sock"

    @property
    def log(self) -> Path:
        return self.directory / "net.log"

    @property
    def environment(self) -> Mapping[str, str]:
        given = {
            "DATA_DIR": self.directory / "net",
            "SOCKET": self.socket,
            "CONFIG_FILE": self.directory / "netcfg.json",
            "PREFIX": self.host.names.prefix,
        }
        return {"PATH": os.environ["PATH"], **{f"HEDGEROW_NET_{key}": str(value) for key, value in given.items()}}

    def start(self) -> None:
        command = ["nsenter", f"--net={self.host.path}", sys.executable, "-m", "net_manager"]
        if self.port:
            command += ["-p", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        eventually(self.is_ready, START_S, message="NetManager")

    def is_ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(f"NetManager ended: {self.log.read_text()[-2000:]}")
        try:
            return bool(self.request("GET", "/api/health")["is_ready"])
        except HedgerowError:
            return False

    def grant(self, v4: str, v6: str) -> None:
        self.request("PUT", "/api/net/subnets", json={"subnets": [{"v4": v4, "v6": v6}]})

    def attach(self, instance_id: str, *ports: tuple[int, int, str]) -> dict[str, Any]:
        wish = {"ports": [{"host_port": one, "instance_port": other, "transport": how} for one, other, how in ports]}
        place: dict[str, Any] = self.request("PUT", f"/api/net/instances/{instance_id}", json=wish)
        return place

    def detach(self, instance_id: str) -> None:
        self.request("DELETE", f"/api/net/instances/{instance_id}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(10)
