"""What runs on a host of each kind: a root and a cluster with their brokers, a worker with its containerd."""

import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_common.link.broker_files import dynsec_plugin
from edge_common.link.child_keys import child_id_of
from edge_common.plumbing.pki import load_or_make_key
from edge_common.plumbing.tls import TlsFiles
from node_engine.adapters.log_files import LogFiles
from node_engine.adapters.runtimes.containerd import ContainerdRuntime
from tests.parts.containerd import Containerd, prepare_containerd
from tests.parts.hosts import Host, python
from tests.support import eventually

BROKER, ROOT, CLUSTER, NODE = "mosquitto", "root", "cluster", "node"
API_PORT, CLUSTER_PORT, MQTT_PORT = 10000, 10100, 10003
NODE_PREFIX = "HEDGEROW_NODE_"
ADMIN_PASSWORD = "correct horse battery"
START_S = 30.0


@dataclass(slots=True)
class ParentHost:
    """What root and cluster hosts have in common: a service with a broker, which children join with a token."""

    host: Host
    program: str
    http_port: int
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def data_dir(self) -> Path:
        return self.host.directory / self.program

    @property
    def url(self) -> str:
        return f"https://{self.host.address}:{self.http_port}"

    @property
    def trust(self) -> TlsFiles:
        """What its users check it by."""
        return TlsFiles(self.data_dir / "ca" / "ca.crt")

    def prepare(self, settings: Mapping[str, str]) -> None:
        """With the tier's own command: authority, certificates, passwords, and what the broker reads."""
        prefix = f"HEDGEROW_{self.program.upper()}_"
        own = {
            "DATA_DIR": str(self.data_dir),
            "HTTP_HOST": self.host.address,
            "HTTP_PORT": str(self.http_port),
            "MQTT_HOST": self.host.address,
            "MQTT_PORT": str(MQTT_PORT),
            "MQTT_USERNAME": self.program,
            "MQTT_PASSWORD_FILE": str(self.host.directory / "mqtt-password"),
        }
        self.environment |= {f"{prefix}{name}": value for name, value in own.items()} | _meant_for(prefix, settings)
        options = {
            "--user": "0",
            "--broker-user": str(pwd.getpwnam("mosquitto").pw_uid),
            "--broker-config": str(self._broker_config),
            "--broker-data": str(self.host.directory / "broker-data"),
            "--plugin": str(dynsec_plugin()),
        }
        arguments = [word for option in options.items() for word in option]
        self.host.run(python(f"{self.program}_orchestrator", "setup", *arguments), self.environment)

    @property
    def _broker_config(self) -> Path:
        return self.host.directory / "broker-config"

    def start_broker(self) -> None:
        self.host.start(BROKER, ["mosquitto", "-c", str(self._broker_config / "mosquitto.conf")])

    def start_service(self) -> None:
        self.host.start(self.program, python(f"{self.program}_orchestrator"), self.environment)

    def start(self) -> None:
        self.start_broker()
        self.start_service()

    def wait_serving(self) -> None:
        eventually(
            lambda: "event=serving" in self.host.log(self.program), START_S, 0.1, f"{self.host.name} does not serve"
        )


def id_of(data_dir: Path) -> str:
    """Of the child that keeps its key there."""
    return str(child_id_of(load_or_make_key(data_dir / "identity" / "key.pem").public_der))


def token_file_of(host: Host) -> Path:
    return host.directory / "join-token"


def root_host(host: Host) -> ParentHost:
    return ParentHost(host, ROOT, API_PORT, {"HEDGEROW_ADMIN_PASSWORD": ADMIN_PASSWORD})


def cluster_host(host: Host, root: ParentHost, location: str) -> ParentHost:
    """It reads its join token from `token_file_of` its host."""
    return ParentHost(
        host,
        CLUSTER,
        CLUSTER_PORT,
        {
            "HEDGEROW_CLUSTER_NAME": host.name,
            "HEDGEROW_CLUSTER_LOCATION": location,
            "HEDGEROW_CLUSTER_PARENT_URL": root.url,
            "HEDGEROW_CLUSTER_JOIN_TOKEN_FILE": str(token_file_of(host)),
        },
    )


@dataclass(slots=True)
class WorkerHost:
    host: Host
    containerd: Containerd
    environment: dict[str, str]

    @property
    def data_dir(self) -> Path:
        return self.host.directory / NODE

    def start(self) -> None:
        self.containerd.start()
        self.start_engine()

    def start_engine(self) -> None:
        self.host.start(NODE, python("node_engine"), self.environment)

    def import_image(self, archive: Path) -> None:
        """As the operator's command does, without the start of a process."""
        runtime = ContainerdRuntime(
            str(self.containerd.address),
            LogFiles(self.host.directory / "import-logs"),
            namespace=self.containerd.namespace,
            cgroup_parent=self.containerd.cgroup_parent,
        )
        try:
            runtime.import_archive(archive)
        finally:
            runtime.close()

    def tasks(self) -> dict[str, int]:
        """Container -> pid of what runs in it."""
        lines = [line.split() for line in self._ctr("tasks", "list")[1:]]
        return {name: int(pid) for name, pid, state in lines if state == "RUNNING"}

    def containers(self) -> list[str]:
        return self._ctr("containers", "list", "-q")

    def end(self) -> None:
        self.host.end()
        self.containerd.end()

    def _ctr(self, *arguments: str) -> list[str]:
        command = ["ctr", "-a", str(self.containerd.address), "-n", self.containerd.namespace, *arguments]
        return self.host.run(command, timeout_s=30).stdout.split("\n")[:-1]


def worker_host(host: Host, cluster: ParentHost, more: Mapping[str, str]) -> WorkerHost:
    containerd = prepare_containerd(host.directory / f"c-{host.directory.parent.name}-{host.name}", host.plug.path)
    settings = {
        "DATA_DIR": str(host.directory / NODE),
        "CONTAINERD_ADDRESS": str(containerd.address),
        "CONTAINERD_NAMESPACE": containerd.namespace,
        "CGROUP_PARENT": containerd.cgroup_parent,
        "PARENT_URL": cluster.url,
        "JOIN_TOKEN_FILE": str(token_file_of(host)),
        "NAME": host.name,
    }
    environment = {f"{NODE_PREFIX}{name}": value for name, value in settings.items()}
    return WorkerHost(host, containerd, environment | _meant_for(NODE_PREFIX, more))


def _meant_for(prefix: str, settings: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if name.startswith(prefix)}
