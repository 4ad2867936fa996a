"""Every knob of a root orchestrator, from HEDGEROW_ROOT_*."""

from dataclasses import dataclass
from pathlib import Path

PREFIX = "HEDGEROW_ROOT_"


@dataclass(frozen=True, slots=True)
class Settings:
    """`child_mqtt_host` and `child_mqtt_port` are what clusters are told; "" and 0 mean the same as our own,
    "same" the host on which they reached us.

    `store_lease_s`: how long a standby waits after the last sign of life of the process that acts on the same store.
    `tls` is on, or auto: TLS but for what listens on, or dials, a loopback address, and for requests that come over
    loopback. `tls_names`: further names in the server's certificate. `http_loopback`: also listen on 127.0.0.1.
    `first_token_file`: a join token that a set-up made, good for one cluster; nothing where operators make all of them.
    `waiting_room` is on, off, or auto: off only where the API is bound to loopback. `rejoin_grace_days`: how long after
    its certificate's end a cluster still comes back by its key alone.
    `store_url` "" is a SQLite file in `data_dir`. `admin_password` is for the first start only; without it one is made.
    """

    data_dir: Path = Path("/var/lib/hedgerow/root")
    store_url: str = ""
    store_password_file: Path | None = None
    http_host: str = "127.0.0.1"
    http_port: int = 10000
    http_threads: int = 8
    max_body_bytes: int = 1 << 20
    http_loopback: bool = False
    tls: str = "auto"
    tls_names: tuple[str, ...] = ()
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = 10003
    mqtt_username: str = "root"
    mqtt_password_file: Path = Path("/etc/hedgerow/root-mqtt-password")
    child_mqtt_host: str = ""
    child_mqtt_port: int = 0
    secrets_key_file: Path | None = None
    lease_s: float = 3.0
    waiting_room: str = "auto"
    join_token_life_s: float = 86_400.0
    first_token_file: Path | None = None
    certificate_life_s: float = 2_592_000.0
    rejoin_grace_days: float = 365.0
    store_lease_s: float = 20.0
    audit_max_entries: int = 100_000
    audit_max_days: float = 365.0
    log_level: str = "INFO"

    @property
    def vault_key_file(self) -> Path:
        return self.secrets_key_file or self.data_dir / "secrets.key"

    @property
    def documents_url(self) -> str:
        return self.store_url or f"sqlite://{self.data_dir / 'root.db'}"
