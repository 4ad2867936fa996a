"""The composition root of a cluster: the only file that knows every class."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from cluster_orchestrator.adapters.api import create_api
from cluster_orchestrator.adapters.doors import PooledDoors
from cluster_orchestrator.adapters.node_store import DocumentNodeStore
from cluster_orchestrator.links import Links
from cluster_orchestrator.scheduler import Scheduler
from cluster_orchestrator.service import ClusterService, NodeForgotten, NodeJoined
from cluster_orchestrator.settings import Settings
from edge_common import __version__
from edge_common.addressing.grants import SUBNETS
from edge_common.link.certifier import Certify
from edge_common.link.child import ChildLink, last_will
from edge_common.link.desired_store import DocumentDesiredStore
from edge_common.link.dynsec import DynsecAdmin
from edge_common.link.entrance import Entrance, LinkCalls, entrance_settings, open_entrance, parent_address
from edge_common.link.events import End, PostingEvents
from edge_common.link.identity import Identity, IdentityFiles
from edge_common.link.join import join
from edge_common.link.link_store import DocumentLinkStore
from edge_common.link.members import Members, forgotten_children, joined_children
from edge_common.link.membership import Membership
from edge_common.link.parent import ParentLinks
from edge_common.link.placement_store import PlacementStore
from edge_common.link.renewal import CertificateRenewal, Renewal
from edge_common.link.sealer import Sealer
from edge_common.link.subnet_desk import SubnetDesk
from edge_common.link.transport import Transport
from edge_common.model.cluster import ClusterInfo
from edge_common.model.errors import Temporary
from edge_common.model.ids import ChildId, ClusterId, InstanceId
from edge_common.model.node import Readiness
from edge_common.plumbing.clock import Clock, SystemClock
from edge_common.plumbing.data_dir import DataDirectory
from edge_common.plumbing.documents.interface import Documents
from edge_common.plumbing.documents.lease import StoreLease
from edge_common.plumbing.documents.open import open_documents
from edge_common.plumbing.http_server import HttpServer
from edge_common.plumbing.ids import boot_id, random_id
from edge_common.plumbing.mailbox import Mailbox
from edge_common.plumbing.mqtt import MqttTransport
from edge_common.plumbing.mqtt_types import MqttEndpoint, MqttTuning
from edge_common.plumbing.pki import open_authority
from edge_common.plumbing.sealing import SealingKey, load_or_make_sealing_key, new_sealing_key
from edge_common.plumbing.tier_tls import Listeners, open_tier_tls
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
    sealing: SealingKey = field(default_factory=new_sealing_key)
    certify: Certify | None = None
    renewal: Renewal | None = None


def build_tier(info: ClusterInfo, parts: Parts) -> Tier:
    placements = PlacementStore(parts.documents)
    nodes = DocumentNodeStore(parts.documents)
    forgotten = set(forgotten_children(parts.documents))
    for node_id in [each.info.node_id for each in nodes.nodes() if ChildId(each.info.node_id) in forgotten]:
        nodes.delete(node_id)
    subnets = SubnetDesk(parts.documents, SUBNETS, parts.clock, ())
    links = Links(info, nodes, placements, parts.clock, Sealer(parts.sealing), subnets)
    upper = ChildLink(
        ChildId(info.cluster_id),
        parts.boot_id,
        parts.upper_transport,
        DocumentDesiredStore(parts.documents),
        links,
        parts.clock,
        parts.report_interval_s,
        parts.renewal,
    )
    link_store = DocumentLinkStore(parts.documents)
    lower = ParentLinks(
        parts.lower_transport, link_store, links, parts.clock, parts.new_id, parts.lease_s, parts.certify, subnets.of
    )
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
        self._documents = open_documents(settings.documents_url, settings.store_password_file)
        directory = DataDirectory(settings.data_dir)
        self._lease = StoreLease(self._documents, directory, "cluster", settings.store_lease_s)
        authority = open_authority(settings.data_dir / "ca", settings.name, self._clock.now_s())
        self._members = Members(
            self._documents, authority, self._clock, settings.certificate_life_s, settings.rejoin_grace_days
        )
        listeners = Listeners(
            settings.tls,
            settings.http_host,
            settings.http_port,
            settings.mqtt_host,
            settings.tls_names,
            settings.http_loopback,
        )
        self._tls = open_tier_tls(listeners, authority, settings.data_dir / "ca", self._clock.now_s())
        self._identity_files = IdentityFiles(settings.data_dir)
        self._membership = Membership(
            lambda: join(settings.root_url, self._token(), ChildKind.CLUSTER, settings.name, settings.data_dir, {}),
            self._identity_files,
            self._clock,
        )
        self._stops: list[Callable[[], object]] = [self._lease.stop, self._documents.close]

    def start(self) -> None:
        if not self._lease.take():
            return
        identity = self._membership.identity()
        if identity is None:
            raise Temporary("Stopped before the root admitted this cluster.")
        mailbox_post: list[Callable[[object], bool]] = []
        upper, lower = self._transports(identity, lambda event: mailbox_post[0](event))
        tier = build_tier(self._info(identity), self._parts(upper, lower))
        mailbox = Mailbox(tier.service, name="cluster")
        mailbox_post.append(mailbox.post)
        entrance = self._entrance(tier, mailbox)
        doors = tier.links.doors = PooledDoors(entrance.doors.answer)
        servers = self._tls.serve(partial(HttpServer, create_api(entrance.blueprint(), tier.service.status)))
        self._begin(mailbox.start, mailbox.stop)
        self._begin(lower.start, lower.stop)
        self._begin(upper.start, upper.stop)
        self._stops.insert(0, doors.stop)
        self._begin(lambda: self._membership.keep(upper), self._membership.stop)
        for server in servers:
            self._begin(server.start, server.stop)
        logger.info("event=serving cluster=%s name=%s port=%d", identity.child_id, self._settings.name, servers[0].port)

    def stop(self) -> None:
        self._membership.stop()
        for stop in tuple(self._stops):
            stop()

    def _begin(self, start: Callable[[], object], stop: Callable[[], object]) -> None:
        """What was begun last ends first, also when something after it cannot begin."""
        self._stops.insert(0, stop)
        start()

    def _transports(self, identity: Identity, post: Callable[[object], bool]) -> tuple[MqttTransport, MqttTransport]:
        """To the root's broker, and to our own."""
        upper = MqttTransport(
            identity.endpoint,
            str(identity.child_id),
            PostingEvents(End.UPPER, post),
            last_will(identity.child_id),
        )
        lower = MqttTransport(
            self._own_broker(),
            f"parent-{identity.child_id}",
            PostingEvents(End.LOWER, post),
            tuning=PARENT_TUNING,
        )
        return upper, lower

    def _info(self, identity: Identity) -> ClusterInfo:
        settings = self._settings
        return ClusterInfo(
            ClusterId(identity.child_id),
            settings.name,
            settings.location,
            settings.http_host,
            settings.http_port,
            __version__,
        )

    def _parts(self, upper: Transport, lower: Transport) -> Parts:
        settings = self._settings
        return Parts(
            self._documents,
            upper,
            lower,
            self._clock,
            boot_id(self._clock),
            lease_s=settings.lease_s,
            report_interval_s=settings.report_interval_s,
            sealing=load_or_make_sealing_key(settings.data_dir / "identity" / "sealing.key"),
            certify=self._members.certify,
            renewal=CertificateRenewal(self._identity_files, self._clock),
        )

    def _own_broker(self) -> MqttEndpoint:
        settings = self._settings
        return MqttEndpoint(
            settings.mqtt_host, settings.mqtt_port, settings.mqtt_username, self._mqtt_password(), self._tls.broker
        )

    def _entrance(self, tier: Tier, mailbox: Mailbox) -> Entrance:
        settings = self._settings
        lower = tier.links.lower
        return open_entrance(
            entrance_settings(
                ChildKind.NODE,
                settings.data_dir,
                settings.http_host,
                settings.waiting_room,
                settings.join_token_life_s,
                has_local_children=settings.http_loopback,
            ),
            self._documents,
            self._members,
            DynsecAdmin(self._own_broker()),
            parent_address(
                settings.name,
                settings.mqtt_host,
                settings.mqtt_port,
                settings.child_mqtt_host,
                settings.child_mqtt_port,
                settings.tls,
            ),
            self._clock,
            LinkCalls(
                on_joined=lambda joined: mailbox.post(NodeJoined(joined.child_id)),
                on_forgotten=lambda child_id: mailbox.post(NodeForgotten(child_id)),
                is_ready=lambda child_id: mailbox.call(lambda: lower.readiness(child_id)) is Readiness.READY,
                drop=lambda child_id: mailbox.call(lambda: tier.links.forget(child_id)),
            ),
        )

    def _token(self) -> str:
        file = self._settings.join_token_file
        return file.read_text().strip() if file is not None and file.exists() else ""

    def _mqtt_password(self) -> str:
        return self._settings.mqtt_password_file.read_text().strip()
