"""Every knob of NetManager, from HEDGEROW_NET_*."""

from dataclasses import dataclass
from pathlib import Path

from edge_common.model.errors import InvalidInput
from net_manager.core.links import Names

PREFIX = "HEDGEROW_NET_"
LEAST_MTU = 1280
"""IPv6's: with less there is none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`port` 0 is the unix socket at `socket`, any other a port of loopback that asks for the token in `token_file`
    (None is a file in `data_dir`). `mtu` 0 is what fits into a tunnel over the link of the default route.
    """

    data_dir: Path = Path("/var/lib/hedgerow/net")
    socket: Path = Path("/run/hedgerow/net.sock")
    port: int = 0
    token_file: Path | None = None
    config_file: Path = Path("/etc/netmanager/netcfg.json")
    prefix: str = "hgr"
    mtu: int = 0
    log_level: str = "INFO"

    @property
    def documents_url(self) -> str:
        return f"sqlite://{self.data_dir.absolute() / 'net.db'}"

    @property
    def token_path(self) -> Path:
        return self.token_file or self.data_dir / "token"

    def check(self) -> None:
        """Raises InvalidInput for what cannot be."""
        Names(self.prefix)
        if not 0 <= self.port <= 65_535:
            raise InvalidInput(f"{PREFIX}PORT is {self.port}; it must be 0 to 65535.", f"{PREFIX}PORT")
        if self.mtu and not LEAST_MTU <= self.mtu <= 65_535:
            raise InvalidInput(f"{PREFIX}MTU is {self.mtu}; it must be 0, or {LEAST_MTU} to 65535.", f"{PREFIX}MTU")
