"""Where the parts of one machine keep their things, and the ports they answer on."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from edge_common.model.errors import Broken, InvalidInput
from edge_common.plumbing.tls import TlsFiles

HOME_VARIABLE = "HEDGEROW_HOME"
PORT_BASE_VARIABLE = "HEDGEROW_PORT_BASE"
MAX_SOCKET_PATH_BYTES = 107
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Ports:
    """Oakestra's defaults. With TLS the broker has a listener for each tier, as each has an authority of its own.

    Without TLS `cluster_mqtt` is not used.
    """

    api: int = 10000
    mqtt: int = 10003
    cluster: int = 10100
    cluster_mqtt: int = 10103

    @classmethod
    def from_base(cls, base: int) -> "Ports":
        return cls(api=base, mqtt=base + 3, cluster=base + 100, cluster_mqtt=base + 103)

    def by_name(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Exposure:
    """`listen`: the address at which other machines reach the tiers; "" is none. `is_tls`: TLS on loopback too."""

    is_tls: bool = False
    listen: str = ""

    @property
    def has_tls(self) -> bool:
        return self.is_tls or bool(self.listen)


@dataclass(frozen=True, slots=True)
class Layout:
    """`is_private`: all is under one directory of the user's own choice, so the machine's own services are left out."""

    config: Path
    data: Path
    run: Path
    logs: Path
    session: Path
    ports: Ports = Ports()
    is_private: bool = False
    exposure: Exposure = Exposure()

    @property
    def secrets(self) -> Path:
        return self.config / "secrets"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def supervisor_socket(self) -> Path:
        return self.run / "supervisor.sock"

    @property
    def settings_file(self) -> Path:
        """The operator's own settings of the services; never overwritten."""
        return self.config / "settings.env"

    def data_of(self, part: str) -> Path:
        return self.data / part

    @property
    def admin_password_file(self) -> Path:
        return self.data_of("root") / "admin-password"

    @property
    def api_url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.ports.api}"

    @property
    def cluster_url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.ports.cluster}"

    @property
    def _scheme(self) -> str:
        """On loopback."""
        return "https" if self.exposure.is_tls else "http"

    @property
    def address(self) -> str:
        """The address at which the tiers listen."""
        return self.exposure.listen or "127.0.0.1"

    @property
    def address_in_url(self) -> str:
        return f"[{self.address}]" if ":" in self.address else self.address

    @property
    def used_ports(self) -> dict[str, int]:
        ports = self.ports.by_name()
        if not self.exposure.has_tls:
            del ports["cluster_mqtt"]
        return ports

    def authority_of(self, part: str) -> Path:
        return self.data_of(part) / "ca"

    def tls_of(self, part: str) -> TlsFiles | None:
        """What a client on this machine needs to talk to a tier over loopback."""
        return TlsFiles(self.authority_of(part) / "ca.crt") if self.exposure.is_tls else None

    @property
    def directories(self) -> tuple[Path, ...]:
        return (self.config, self.data, self.run, self.logs)


def find_layout(environ: Mapping[str, str], **chosen_ports: int | None) -> Layout:
    """The machine's layout with ports and exposure of its last `up`; ports chosen now, then those of the environment,
    win.

    Raises InvalidInput for a port that is none, for two equal ports, and for a HEDGEROW_HOME that is too long.
    """
    layout = _in_home(Path(environ[HOME_VARIABLE]).absolute()) if environ.get(HOME_VARIABLE) else _in_system(environ)
    ports = _remembered_ports(layout)
    if environ.get(PORT_BASE_VARIABLE):
        ports = Ports.from_base(_as_port(environ[PORT_BASE_VARIABLE], PORT_BASE_VARIABLE))
    ports = replace(ports, **{name: port for name, port in chosen_ports.items() if port is not None})
    layout = replace(layout, ports=ports, exposure=_remembered_exposure(layout))
    _check_ports(layout.used_ports)
    return layout


def exposed(layout: Layout, is_tls: bool | None, listen: str | None) -> Layout:
    """With what is not None changed; a loopback address to listen on is none.

    Raises InvalidInput for what is not an address of one machine, and for two equal ports.
    """
    exposure = layout.exposure
    if is_tls is not None:
        exposure = replace(exposure, is_tls=is_tls)
    if listen is not None:
        exposure = replace(exposure, listen=_checked_address(listen))
    layout = replace(layout, exposure=exposure)
    _check_ports(layout.used_ports)
    return layout


def ports_file(layout: Layout) -> Path:
    return layout.config / "ports.json"


def exposure_file(layout: Layout) -> Path:
    return layout.config / "exposure.json"


def _in_system(environ: Mapping[str, str]) -> Layout:
    configured = environ.get("XDG_CONFIG_HOME")
    user_config = Path(configured) if configured else Path(environ.get("HOME", "/root")) / ".config"
    return Layout(
        config=Path("/etc/hedgerow"),
        data=Path("/var/lib/hedgerow"),
        run=Path("/run/hedgerow"),
        logs=Path("/var/log/hedgerow"),
        session=user_config / "hedgerow" / "session.json",
    )


def _in_home(home: Path) -> Layout:
    layout = Layout(
        config=home / "config",
        data=home / "data",
        run=home / "run",
        logs=home / "logs",
        session=home / "session.json",
        is_private=True,
    )
    # containerd adds .ttrpc to the path of its socket, supervisord a number while it starts.
    longest = len(str(layout.supervisor_socket).encode()) + len(".1234567")
    if longest > MAX_SOCKET_PATH_BYTES:
        too_many = longest - MAX_SOCKET_PATH_BYTES
        raise InvalidInput(
            f"{HOME_VARIABLE} is {too_many} bytes too long for the sockets under it; choose a shorter path.",
            HOME_VARIABLE,
        )
    return layout


def _remembered_ports(layout: Layout) -> Ports:
    path = ports_file(layout)
    try:
        stored = {"cluster_mqtt": Ports().cluster_mqtt} | json.loads(path.read_text())
        return Ports(**{field.name: int(stored[field.name]) for field in fields(Ports)})
    except (FileNotFoundError, PermissionError):
        return Ports()
    except (ValueError, KeyError, TypeError) as error:
        raise Broken(f"{path} is damaged; delete it and run `hedgerow up` again.") from error


def _remembered_exposure(layout: Layout) -> Exposure:
    path = exposure_file(layout)
    try:
        stored = json.loads(path.read_text())
        return Exposure(bool(stored["is_tls"]), str(stored["listen"]))
    except (FileNotFoundError, PermissionError):
        return Exposure()
    except (ValueError, KeyError, TypeError) as error:
        raise Broken(f"{path} is damaged; delete it and run `hedgerow up` again.") from error


def _checked_address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is not an IP address of this machine.", "listen") from None
    if address.is_unspecified:
        raise InvalidInput(
            f"{text} stands for every address; name the one at which the other machines reach this one.", "listen"
        )
    return "" if address.is_loopback else str(address)


def _as_port(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(f"{name} is {text!r}; it expects a port number.", name) from None


def _check_ports(ports: Mapping[str, int]) -> None:
    taken: dict[int, str] = {}
    for name, port in ports.items():
        if not 1 <= port <= _MAX_PORT:
            raise InvalidInput(f"The {name} port is {port}; a port is a number from 1 to {_MAX_PORT}.", f"{name}_port")
        if port in taken:
            raise InvalidInput(f"The {taken[port]} and the {name} port are both {port}; choose two.", f"{name}_port")
        taken[port] = name
