"""The composition root of NetManager: the only file that knows every class."""

import json
import logging
import secrets
from collections.abc import Callable
from pathlib import Path

from edge_common.model.errors import InvalidInput
from edge_common.plumbing.clock import SystemClock
from edge_common.plumbing.documents.open import open_documents
from edge_common.plumbing.files import read_or_make_secret
from edge_common.plumbing.http_server import HttpServer
from edge_common.plumbing.mailbox import Mailbox
from net_manager.adapters.api import create_api
from net_manager.adapters.kernel import LinuxKernel
from net_manager.adapters.place_store import DocumentPlaceStore
from net_manager.core import config_file
from net_manager.core.config_file import NodeConfig
from net_manager.core.links import Names
from net_manager.core.tunnels import OVERHEAD_V6
from net_manager.service import NetParts, NetService
from net_manager.settings import LEAST_MTU, Settings

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
HTTP_THREADS = 4
TOKEN_BYTES = 32


class App:
    """A running NetManager. Nothing that it made ends with it."""

    def __init__(self, settings: Settings) -> None:
        settings.check()
        self._settings = settings
        self._config = read_config(settings.config_file)
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._stops: list[Callable[[], object]] = []

    def start(self) -> None:
        settings = self._settings
        names = Names(settings.prefix)
        documents = open_documents(settings.documents_url)
        self._stops = [documents.close]
        store = DocumentPlaceStore(documents)
        service = NetService(NetParts(names, LinuxKernel(names), store, SystemClock(), self._mtu))
        mailbox = Mailbox(service, name="net")
        token, path = "", None
        if settings.port:
            token = read_or_make_secret(settings.token_path, lambda: secrets.token_urlsafe(TOKEN_BYTES))
        else:
            path = settings.socket
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        api = create_api(service, mailbox.call, names, self._config, token)
        server = HttpServer(api, LOOPBACK, settings.port, threads=HTTP_THREADS, path=path)
        server.start()
        mailbox.start()
        self._stops = [server.stop, mailbox.stop, documents.close]
        logger.info("event=serving prefix=%s", settings.prefix)

    def stop(self) -> None:
        """The networks of instances stay as they are."""
        for stop in self._stops:
            stop()

    def _mtu(self, uplink_mtu: int) -> int:
        """The tunnel's ends may be of either version, so the larger overhead is kept free."""
        return self._settings.mtu or max(uplink_mtu - OVERHEAD_V6, LEAST_MTU)


def read_config(file: Path) -> NodeConfig:
    """Raises InvalidInput for a file that is there and makes no sense."""
    try:
        text = file.read_text()
    except FileNotFoundError:
        return NodeConfig()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from error
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{file} is not JSON: {error}.") from error
    return config_file.read(document, str(file))
