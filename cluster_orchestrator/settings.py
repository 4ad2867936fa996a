"""Every knob of a cluster orchestrator, from HEDGEROW_CLUSTER_*."""

from dataclasses import dataclass
from pathlib import Path

from edge_common.plumbing.addresses import https_url

PREFIX = "HEDGEROW_CLUSTER_"
ROOT_PORT = 10000


@dataclass(frozen=True, slots=True)
class Settings:
    """`child_mqtt_host` and `child_mqtt_port` are what nodes are told; "" and 0 mean the same as our own,
    "same" the host on which they reached us.

    `store_lease_s`: how long a standby waits after the last sign of life of the process that acts on the same store.
    `tls` is on, or auto: TLS but for what listens on, or dials, a loopback address, and for requests that come over
    loopback. `tls_names`: further names in the server's certificate. `http_loopback`: also listen on 127.0.0.1.
    `waiting_room` is on, off, or auto: off only where nodes join over loopback. `rejoin_grace_days`: how long after its
    certificate's end a node still comes back by its key alone.
    `store_url` "" is a SQLite file in `data_dir`. `name` is what the root calls this cluster; `location` is free
    text or "latitude,longitude[,radius_m]".
    """

    data_dir: Path = Path("/var/lib/hedgerow/cluster")
    store_url: str = ""
    store_password_file: Path | None = None
    name: str = "cluster"
    location: str = ""
    http_host: str = "127.0.0.1"
    http_port: int = 10100
    http_loopback: bool = False
    tls: str = "auto"
    tls_names: tuple[str, ...] = ()
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = 10003
    mqtt_username: str = "cluster"
    mqtt_password_file: Path = Path("/etc/hedgerow/cluster-mqtt-password")
    child_mqtt_host: str = ""
    child_mqtt_port: int = 0
    parent_url: str = "http://127.0.0.1:10000"
    join_token_file: Path | None = None
    lease_s: float = 3.0
    waiting_room: str = "auto"
    join_token_life_s: float = 86_400.0
    certificate_life_s: float = 2_592_000.0
    rejoin_grace_days: float = 365.0
    store_lease_s: float = 20.0
    report_interval_s: float = 10.0
    log_level: str = "INFO"

    @property
    def root_url(self) -> str:
        return https_url(self.parent_url, ROOT_PORT)

    @property
    def documents_url(self) -> str:
        return self.store_url or f"sqlite://{self.data_dir / 'cluster.db'}"
