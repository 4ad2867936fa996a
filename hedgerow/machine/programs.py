"""The programs of one machine, as data: what a supervisor runs, and from which files each reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hedgerow.machine.layout import Layout

MARK = "HEDGEROW_MACHINE"
"""Set for every program, and inherited by what it starts: tells our processes from all others on the machine."""

BROKER, CONTAINERD, ROOT, CLUSTER, NODE = "mosquitto", "containerd", "root", "cluster", "node"
START_ORDER = (BROKER, CONTAINERD, ROOT, CLUSTER, NODE)
SERVICES: Mapping[str, str] = {ROOT: "root_orchestrator", CLUSTER: "cluster_orchestrator", NODE: "node_engine"}
CLUSTER_NAME = "local"
_BROKER_USERS: Mapping[str, str] = {ROOT: "root", CLUSTER: "cluster"}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Program:
    """`spares_children`: only the program itself is stopped, not what it started; a container outlives containerd.

    `stop_wait_s` is how long it may take to end after SIGTERM.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_wait_s: int = 10
    spares_children: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What rendering has to know of the machine. `build` changes when the code of the services does."""

    python: Path
    mosquitto: Path
    containerd: Path
    hostname: str
    build: str
    settings: Mapping[str, str] = field(default_factory=dict)


def programs(layout: Layout, facts: Facts) -> tuple[Program, ...]:
    """In their start order."""
    mark = {MARK: str(layout.config), "PATH": _PATH}
    broker = Program(BROKER, (str(facts.mosquitto), "-c", str(layout.config / "mosquitto.conf")), mark)
    containerd = Program(
        CONTAINERD,
        (str(facts.containerd), "--config", str(layout.config / "containerd.toml")),
        mark,
        spares_children=True,
    )
    services = (
        Program(
            name,
            (str(facts.python), "-m", package),
            {**mark, "HEDGEROW_BUILD": facts.build, **service_environment(name, layout, facts)},
            stop_wait_s=20,
        )
        for name, package in SERVICES.items()
    )
    return (broker, containerd, *services)


def service_environment(name: str, layout: Layout, facts: Facts) -> dict[str, str]:
    """The settings of one service: ours, then the operator's own."""
    prefix = f"HEDGEROW_{name.upper()}_"
    ours = {ROOT: _root(layout), CLUSTER: _cluster(layout), NODE: _node(layout, facts.hostname)}
    named = {prefix + key: value for key, value in ours[name].items()}
    return named | {key: value for key, value in facts.settings.items() if key.startswith(prefix)}


def _root(layout: Layout) -> dict[str, str]:
    return {
        "DATA_DIR": str(layout.data_of(ROOT)),
        "HTTP_PORT": str(layout.ports.api),
        **_exposure(layout),
        **_broker_settings(ROOT, layout),
    }


def _cluster(layout: Layout) -> dict[str, str]:
    return {
        "DATA_DIR": str(layout.data_of(CLUSTER)),
        "HTTP_PORT": str(layout.ports.cluster),
        **_exposure(layout),
        "PARENT_URL": layout.api_url,
        "JOIN_TOKEN_FILE": str(layout.data_of(ROOT) / "join-token"),
        "NAME": CLUSTER_NAME,
        **_broker_settings(CLUSTER, layout),
    }


def _node(layout: Layout, hostname: str) -> dict[str, str]:
    return {
        "DATA_DIR": str(layout.data_of(NODE)),
        "LOG_DIR": str(layout.logs / "instances"),
        "SECRETS_DIR": str(layout.run / "secrets"),
        "CONTAINERD_ADDRESS": str(layout.containerd_socket),
        "PARENT_URL": layout.cluster_url,
        "JOIN_TOKEN_FILE": str(layout.data_of(CLUSTER) / "join-token"),
        "NAME": hostname,
    }


def _exposure(layout: Layout) -> dict[str, str]:
    """Defaults are left out, so that nothing restarts for their sake."""
    settings = {"HTTP_HOST": layout.address}
    if layout.exposure.is_tls:
        settings["TLS"] = "on"
    if layout.exposure.listen:
        settings["HTTP_LOOPBACK"] = "true"
    return settings


def broker_port(name: str, layout: Layout) -> int:
    """With TLS each tier has a listener of its own."""
    is_own = name == CLUSTER and layout.exposure.has_tls
    return layout.ports.cluster_mqtt if is_own else layout.ports.mqtt


def _broker_settings(name: str, layout: Layout) -> dict[str, str]:
    return {
        "MQTT_HOST": layout.address,
        "MQTT_PORT": str(broker_port(name, layout)),
        "MQTT_USERNAME": _BROKER_USERS[name],
        "MQTT_PASSWORD_FILE": str(broker_password_file(layout, _BROKER_USERS[name])),
    }


def broker_password_file(layout: Layout, username: str) -> Path:
    return layout.secrets / f"mqtt-{username}"


def broker_users() -> tuple[str, ...]:
    return tuple(_BROKER_USERS.values())
