"""The composition root of a cluster: the only file that knows every class."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from cluster_orchestrator.adapters.api import create_api
from cluster_orchestrator.adapters.node_store import DocumentNodeStore
from cluster_orchestrator.links import Links
from cluster_orchestrator.scheduler import Scheduler
from cluster_orchestrator.service import ClusterService, NodeJoined
from cluster_orchestrator.settings import Settings
from edge_common import __version__
from edge_common.link.child import ChildLink, last_will
from edge_common.link.desired_store import DocumentDesiredStore
from edge_common.link.dynsec import DynsecAdmin
from edge_common.link.events import End, PostingEvents
from edge_common.link.join import join
from edge_common.link.join_desk import Joined, ParentAddress, TokenJoinDesk, joined_children
from edge_common.link.link_store import DocumentLinkStore
from edge_common.link.membership import Membership
from edge_common.link.parent import ParentLinks
from edge_common.link.placement_store import PlacementStore
from edge_common.link.transport import Transport
from edge_common.model.cluster import ClusterInfo
from edge_common.model.errors import Temporary
from edge_common.model.ids import ChildId, ClusterId, InstanceId
from edge_common.plumbing.clock import Clock, SystemClock
from edge_common.plumbing.documents.interface import Documents
from edge_common.plumbing.documents.open import open_documents
from edge_common.plumbing.http_server import HttpServer
from edge_common.plumbing.ids import boot_id, random_id
from edge_common.plumbing.mailbox import Mailbox
from edge_common.plumbing.mqtt import MqttTransport
from edge_common.plumbing.mqtt_types import MqttEndpoint, MqttTuning
from edge_common.wire.join_messages import ChildKind

logger = logging.getLogger(__name__)

PARENT_TUNING = MqttTuning(max_queued=100_000)
"""A storm of reconnecting nodes is answered with two messages each at least."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A cluster without its doors: what the simulation runs, too."""

    service: ClusterService
    links: Links
    scheduler: Scheduler


@dataclass(frozen=True, slots=True)
class Parts:
    """What a tier is built from; the same in production and in the simulation but for what they are made of."""

    documents: Documents
    upper_transport: Transport
    lower_transport: Transport
    clock: Clock
    boot_id: str
    new_id: Callable[[], str] = random_id
    lease_s: float = 3.0
    report_interval_s: float = 10.0


def build_tier(info: ClusterInfo, parts: Parts) -> Tier:
    placements = PlacementStore(parts.documents)
    links = Links(info, DocumentNodeStore(parts.documents), placements, parts.clock)
    upper = ChildLink(
        ChildId(info.cluster_id),
        parts.boot_id,
        parts.upper_transport,
        DocumentDesiredStore(parts.documents),
        links,
        parts.clock,
        parts.report_interval_s,
    )
    link_store = DocumentLinkStore(parts.documents)
    lower = ParentLinks(parts.lower_transport, link_store, links, parts.clock, parts.new_id, parts.lease_s)
    scheduler = Scheduler(placements, links, parts.clock, lambda: InstanceId(parts.new_id()), parts.lease_s)
    links.bind(upper, lower, scheduler)
    lower.add_children(joined_children(parts.documents))
    scheduler.load(links.nodes.values(), upper.desired)
    links.mark_all()
    return Tier(ClusterService(links, scheduler, upper, lower), links, scheduler)


class App:
    """A running cluster. `start` returns once it serves; it waits for the root only before it ever joined."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = SystemClock()
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._documents = open_documents(settings.documents_url)
        identity_file = settings.data_dir / "identity.json"
        self._membership = Membership(
            lambda: join(settings.parent_url, self._token(), ChildKind.CLUSTER, settings.name, identity_file, {}),
            identity_file,
        )
        self._stops: list[Callable[[], object]] = [self._documents.close]

    def start(self) -> None:
        settings = self._settings
        identity = self._membership.identity()
        if identity is None:
            raise Temporary("Stopped before the root admitted this cluster.")
        mailbox_post: list[Callable[[object], bool]] = []

        def post(event: object) -> bool:
            return mailbox_post[0](event)

        lower_endpoint = MqttEndpoint(
            settings.mqtt_host, settings.mqtt_port, settings.mqtt_username, self._mqtt_password()
        )
        info = ClusterInfo(
            ClusterId(identity.child_id),
            settings.name,
            settings.location,
            settings.http_host,
            settings.http_port,
            __version__,
        )
        upper_transport = MqttTransport(
            identity.endpoint,
            str(identity.child_id),
            PostingEvents(End.UPPER, post),
            last_will(identity.child_id),
        )
        lower_transport = MqttTransport(
            lower_endpoint,
            f"parent-{identity.child_id}",
            PostingEvents(End.LOWER, post),
            tuning=PARENT_TUNING,
        )
        parts = Parts(
            self._documents,
            upper_transport,
            lower_transport,
            self._clock,
            boot_id(self._clock),
            lease_s=settings.lease_s,
            report_interval_s=settings.report_interval_s,
        )
        tier = build_tier(info, parts)
        mailbox = Mailbox(tier.service, name="cluster")
        mailbox_post.append(mailbox.post)
        desk = self._desk(lower_endpoint, mailbox)
        server = HttpServer(create_api(desk, tier.service.status), settings.http_host, settings.http_port)
        mailbox.start()
        lower_transport.start()
        upper_transport.start()
        self._membership.keep(upper_transport)
        server.start()
        self._stops = [
            server.stop,
            self._membership.stop,
            upper_transport.stop,
            lower_transport.stop,
            mailbox.stop,
            self._documents.close,
        ]
        logger.info("event=serving cluster=%s name=%s port=%d", identity.child_id, settings.name, server.port)

    def stop(self) -> None:
        self._membership.stop()
        for stop in self._stops:
            stop()

    def _desk(self, endpoint: MqttEndpoint, mailbox: Mailbox) -> TokenJoinDesk:
        settings = self._settings

        def on_joined(joined: Joined) -> None:
            mailbox.post(NodeJoined(joined.child_id))

        desk = TokenJoinDesk(
            self._documents,
            DynsecAdmin(endpoint),
            ParentAddress(
                settings.name,
                settings.child_mqtt_host or settings.mqtt_host,
                settings.child_mqtt_port or settings.mqtt_port,
            ),
            on_joined,
            self._clock,
        )
        desk.ensure_token(settings.data_dir / "join-token", ChildKind.NODE)
        return desk

    def _token(self) -> str:
        file = self._settings.join_token_file
        return file.read_text().strip() if file is not None and file.exists() else ""

    def _mqtt_password(self) -> str:
        return self._settings.mqtt_password_file.read_text().strip()
