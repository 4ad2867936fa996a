"""Every knob of a cluster orchestrator, from HEDGEROW_CLUSTER_*."""

from dataclasses import dataclass
from pathlib import Path

PREFIX = "HEDGEROW_CLUSTER_"


@dataclass(frozen=True, slots=True)
class Settings:
    """`child_mqtt_host` and `child_mqtt_port` are what nodes are told; "" and 0 mean the same as our own.

    `store_url` "" is a SQLite file in `data_dir`. `name` is what the root calls this cluster; `location` is free
    text or "latitude,longitude[,radius_m]".
    """

    data_dir: Path = Path("/var/lib/hedgerow/cluster")
    store_url: str = ""
    name: str = "cluster"
    location: str = ""
    http_host: str = "127.0.0.1"
    http_port: int = 10100
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = 10003
    mqtt_username: str = "cluster"
    mqtt_password_file: Path = Path("/etc/hedgerow/cluster-mqtt-password")
    child_mqtt_host: str = ""
    child_mqtt_port: int = 0
    parent_url: str = "http://127.0.0.1:10000"
    join_token_file: Path | None = None
    lease_s: float = 3.0
    report_interval_s: float = 10.0
    log_level: str = "INFO"

    @property
    def documents_url(self) -> str:
        return self.store_url or f"sqlite://{self.data_dir / 'cluster.db'}"
