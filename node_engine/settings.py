"""Every knob of a node, from HEDGEROW_NODE_*."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edge_common.model.errors import InvalidInput

PREFIX = "HEDGEROW_NODE_"


@dataclass(frozen=True, slots=True)
class Settings:
    """`name` "" is the host's name, `address` "" the one from which the parent is reached. `labels` are key=value.

    `log_dir` None is a directory in `data_dir`. `reserved_memory_mb` is kept from instances; None is a tenth of the
    machine's, at most 512. `net_manager` is unix:///path or http://127.0.0.1:port; "" is `network_port` when there is
    one, and else none. `operations` is how many containers are made or stopped at once.
    """

    data_dir: Path = Path("/var/lib/hedgerow/node")
    log_dir: Path | None = None
    containerd_address: str = "/run/containerd/containerd.sock"
    containerd_namespace: str = "hedgerow"
    cgroup_parent: str = "/hedgerow"
    parent_url: str = "http://127.0.0.1:10100"
    join_token_file: Path | None = None
    name: str = ""
    address: str = ""
    network_port: int = 0
    net_manager: str = ""
    net_manager_token_file: Path = Path("/var/lib/hedgerow/net/token")
    labels: tuple[str, ...] = ()
    plain_http_registries: tuple[str, ...] = ()
    registry_auth_file: Path | None = None
    secrets_dir: Path = Path("/run/hedgerow/secrets")
    reserved_memory_mb: int | None = None
    operations: int = 8
    report_interval_s: float = 10.0
    log_level: str = "INFO"

    @property
    def net_manager_url(self) -> str:
        """Where the network manager is; "" when instances have the host's network."""
        if self.net_manager or not self.network_port:
            return self.net_manager
        return f"http://127.0.0.1:{self.network_port}"

    @property
    def sealing_key_file(self) -> Path:
        return self.data_dir / "identity" / "sealing.key"

    @property
    def documents_url(self) -> str:
        return f"sqlite://{self.data_dir.absolute() / 'node.db'}"

    @property
    def instance_log_dir(self) -> Path:
        return self.log_dir or self.data_dir / "logs"

    @property
    def values_dir(self) -> Path:
        """One of its own for each node of a machine: what belongs to none of its instances, a node removes."""
        own = hashlib.sha256(str(self.data_dir.absolute()).encode()).hexdigest()[:12]
        return self.secrets_dir / own

    def label_pairs(self) -> tuple[tuple[str, str], ...]:
        """Raises InvalidInput for a label that is not key=value."""
        pairs = [label.partition("=") for label in self.labels]
        for key, equals, _ in pairs:
            if not (key and equals):
                raise InvalidInput(f"The label {key!r} is not key=value.", f"{PREFIX}LABELS")
        return tuple(sorted((key, value) for key, _, value in pairs))
