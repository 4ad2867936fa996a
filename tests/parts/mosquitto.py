"""A private mosquitto with dynamic security, on a free port and its own data."""

import json
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_common.link.broker_files import DYNSEC_FILE, MqttListener, dynsec_plugin, initial_dynsec, mosquitto_conf
from edge_common.link.dynsec import DynsecAdmin
from edge_common.plumbing.mqtt_types import MqttEndpoint
from edge_common.plumbing.tls import ServerTls, TlsFiles
from tests.support import eventually, free_port

HOST = "127.0.0.1"
USERS = {"root": "root-password", "cluster": "cluster-password"}


class Mosquitto:
    """With `tls` it speaks TLS, to clients with a certificate; `own` is what the parents show."""

    def __init__(
        self,
        data_dir: Path,
        autosave_interval_s: int = 5,
        tls: ServerTls | None = None,
        own: TlsFiles | None = None,
    ) -> None:
        self._own = own
        self.port = free_port()
        self.data_dir = data_dir
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._conf = data_dir / "mosquitto.conf"
        self._conf.write_text(
            mosquitto_conf(
                [MqttListener(self.port, HOST, tls)], data_dir, dynsec_plugin(), autosave_interval_s=autosave_interval_s
            )
        )
        dynsec = data_dir / DYNSEC_FILE
        dynsec.touch(mode=0o600)
        dynsec.write_text(json.dumps(initial_dynsec(USERS)))

    def endpoint(self, username: str, password: str | None = None) -> MqttEndpoint:
        return MqttEndpoint(HOST, self.port, username, USERS[username] if password is None else password, self._own)

    @property
    def admin(self) -> DynsecAdmin:
        return DynsecAdmin(self.endpoint("root"))

    @property
    def log(self) -> str:
        return (self.data_dir / "log").read_text()

    def start(self) -> None:
        with (self.data_dir / "log").open("ab") as log:
            self._process = subprocess.Popen(["mosquitto", "-c", str(self._conf)], stderr=log)
        self.pid = self._process.pid
        eventually(self._answers, message=f"mosquitto on port {self.port}")

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(sign)
            self._process.wait(timeout=10)
            self._process = None

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"mosquitto ended: {self.log}")
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0


@contextmanager
def private_mosquitto(
    autosave_interval_s: int = 5, tls: ServerTls | None = None, own: TlsFiles | None = None
) -> Iterator[Mosquitto]:
    with tempfile.TemporaryDirectory(prefix="mosquitto-") as folder:
        broker = Mosquitto(Path(folder), autosave_interval_s, tls, own)
        broker.start()
        try:
            yield broker
        finally:
            broker.stop(signal.SIGKILL)
