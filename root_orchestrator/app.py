"""The composition root of the root: the only file that knows every class."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from flask import Flask

from edge_common.addressing.grants import BLOCKS, WHOLE
from edge_common.link.certifier import Certify
from edge_common.link.dynsec import DynsecAdmin
from edge_common.link.entrance import Entrance, LinkCalls, entrance_settings, open_entrance, parent_address
from edge_common.link.events import End, PostingEvents
from edge_common.link.join_api import ENDPOINTS as JOIN_ENDPOINTS
from edge_common.link.link_store import DocumentLinkStore
from edge_common.link.members import Members, forgotten_children, joined_children
from edge_common.link.parent import ParentLinks
from edge_common.link.placement_store import PlacementStore
from edge_common.link.subnet_desk import SubnetDesk
from edge_common.link.transport import Transport
from edge_common.model.ids import ClusterId, InstanceId, ServiceId
from edge_common.model.node import Readiness
from edge_common.plumbing.clock import Clock, SystemClock
from edge_common.plumbing.data_dir import DataDirectory
from edge_common.plumbing.documents.interface import Documents
from edge_common.plumbing.documents.lease import StoreLease
from edge_common.plumbing.documents.open import open_documents
from edge_common.plumbing.http_app import declare_public
from edge_common.plumbing.http_server import HttpServer
from edge_common.plumbing.ids import new_secret, random_id
from edge_common.plumbing.mailbox import Mailbox
from edge_common.plumbing.mqtt import MqttTransport
from edge_common.plumbing.mqtt_types import MqttEndpoint, MqttTuning
from edge_common.plumbing.pki import open_authority
from edge_common.plumbing.tier_tls import Listeners, open_tier_tls
from edge_common.plumbing.vault import Vault, new_vault
from edge_common.wire.join_messages import ChildKind
from root_orchestrator.adapters.api.factory import create_api
from root_orchestrator.adapters.api.parts import Parts as ApiParts
from root_orchestrator.adapters.api.routing import check_declared
from root_orchestrator.adapters.audit_log import AuditLog
from root_orchestrator.adapters.auth import ensure_admin, ensure_organization, open_auth
from root_orchestrator.adapters.cluster_requests import MailboxClusterRequests
from root_orchestrator.adapters.cluster_store import DocumentClusterStore, DocumentPlacementReads
from root_orchestrator.adapters.intent_store import DocumentIntentStore
from root_orchestrator.adapters.people_store import DocumentPeopleStore
from root_orchestrator.adapters.value_store import DocumentValueStore
from root_orchestrator.links import Links
from root_orchestrator.manager import Manager
from root_orchestrator.people import People
from root_orchestrator.scheduler import Scheduler
from root_orchestrator.service import Aside, ClusterForgotten, ClusterJoined, RootService
from root_orchestrator.settings import Settings
from root_orchestrator.values import Values

logger = logging.getLogger(__name__)

PARENT_TUNING = MqttTuning(max_queued=100_000)
ADMIN_PASSWORD = "HEDGEROW_ADMIN_PASSWORD"  # noqa: S105 - the name of the variable


class LateNudge:
    """The manager is made before the service that it nudges."""

    service: RootService

    def services_changed(self, service_ids: Sequence[ServiceId]) -> None:
        self.service.services_changed(service_ids)


@dataclass(frozen=True, slots=True)
class Tier:
    """A root without its doors: what the simulation runs, too."""

    service: RootService
    manager: Manager
    people: People
    links: Links
    intents: DocumentIntentStore
    placements: PlacementStore
    clusters: DocumentClusterStore
    values: Values


@dataclass(frozen=True, slots=True)
class Parts:
    """What a tier is built from; the same in production and in the simulation but for what they are made of."""

    documents: Documents
    transport: Transport
    clock: Clock
    new_id: Callable[[], str] = random_id
    lease_s: float = 3.0
    certify: Certify | None = None
    vault: Vault = field(default_factory=new_vault)


def build_tier(parts: Parts) -> Tier:
    intents = DocumentIntentStore(parts.documents)
    placements = PlacementStore(parts.documents)
    clusters = DocumentClusterStore(parts.documents)
    for cluster_id in {each.info.cluster_id for each in clusters.clusters()} & set(forgotten_children(parts.documents)):
        clusters.delete(ClusterId(cluster_id))
    nudge = LateNudge()
    value_store = DocumentValueStore(parts.documents)
    values = Values(value_store, intents, parts.vault, nudge, parts.new_id, parts.clock)
    blocks = SubnetDesk(parts.documents, BLOCKS, parts.clock, [WHOLE])
    links = Links(intents, clusters, placements, parts.clock, values, blocks)
    link_store = DocumentLinkStore(parts.documents)
    lower = ParentLinks(
        parts.transport, link_store, links, parts.clock, parts.new_id, parts.lease_s, parts.certify, blocks.of
    )
    scheduler = Scheduler(intents, placements, links, parts.clock, lambda: InstanceId(parts.new_id()))
    links.bind(lower, scheduler)
    lower.add_children(joined_children(parts.documents))
    scheduler.load(links.clusters.values())
    links.mark_all()
    manager = Manager(intents, nudge, parts.new_id, parts.clock, values)
    nudge.service = RootService(links, scheduler, lower, manager)
    people = People(intents, DocumentPeopleStore(parts.documents), parts.new_id, new_secret, parts.clock, value_store)
    return Tier(nudge.service, manager, people, links, intents, placements, clusters, values)


class App:
    """A running root. `start` returns once it serves."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = SystemClock()
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._documents = open_documents(settings.documents_url, settings.store_password_file)
        directory = DataDirectory(settings.data_dir)
        authority = open_authority(settings.data_dir / "ca", "root", self._clock.now_s())
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
        self._lease = StoreLease(self._documents, directory, "root", settings.store_lease_s)
        self._stops: list[Callable[[], object]] = [self._lease.stop, self._documents.close]

    def start(self) -> None:
        settings = self._settings
        if not self._lease.take():
            return
        post: list[Callable[[object], bool]] = []
        endpoint = MqttEndpoint(
            settings.mqtt_host,
            settings.mqtt_port,
            settings.mqtt_username,
            settings.mqtt_password_file.read_text().strip(),
            self._tls.broker,
        )
        events = PostingEvents(End.LOWER, lambda event: post[0](event))
        transport = MqttTransport(endpoint, "parent-root", events, tuning=PARENT_TUNING)
        vault = DocumentValueStore(self._documents).open_vault(settings.vault_key_file)
        tier = build_tier(
            Parts(
                self._documents,
                transport,
                self._clock,
                lease_s=settings.lease_s,
                vault=vault,
                certify=self._members.certify,
            )
        )
        mailbox = Mailbox(tier.service, name="root")
        post.append(mailbox.post)
        audit = AuditLog(
            self._documents, self._clock, max_entries=settings.audit_max_entries, max_days=settings.audit_max_days
        )
        api = self._api(tier, mailbox, endpoint, audit)
        make = partial(HttpServer, api, threads=settings.http_threads, max_body_bytes=settings.max_body_bytes)
        servers = self._tls.serve(make)
        self._begin(audit.start, audit.stop)
        self._begin(mailbox.start, mailbox.stop)
        self._begin(transport.start, transport.stop)
        for server in servers:
            self._begin(server.start, server.stop)
        logger.info("event=serving port=%d", servers[0].port)

    def stop(self) -> None:
        for stop in tuple(self._stops):
            stop()

    def _begin(self, start: Callable[[], object], stop: Callable[[], object]) -> None:
        """What was begun last ends first, also when something after it cannot begin."""
        self._stops.insert(0, stop)
        start()

    def _api(self, tier: Tier, mailbox: Mailbox, endpoint: MqttEndpoint, audit: AuditLog) -> Flask:
        settings = self._settings
        people = DocumentPeopleStore(self._documents)

        def note_use(token_id: str) -> None:
            mailbox.post(Aside(lambda: tier.people.note_use(token_id)))

        auth = open_auth(tier.intents, people, settings.data_dir, self._clock, note_use)
        wanted_password = os.environ.pop(ADMIN_PASSWORD, "")
        ensure_organization(people, self._clock.now_s())
        ensure_admin(tier.intents, auth.passwords, settings.data_dir, wanted_password, self._clock.now_s())
        entrance = self._entrance(tier, mailbox, endpoint)
        parts = ApiParts(
            manager=tier.manager,
            intents=tier.intents,
            placements=DocumentPlacementReads(tier.placements, tier.clusters),
            clusters=MailboxClusterRequests(mailbox.post),
            ask=mailbox.call,
            auth=auth,
            clock=self._clock,
            people=tier.people,
            people_reads=people,
            audit=audit,
            values=tier.values,
            doors=entrance.doors,
        )
        app = create_api(parts, max_body_bytes=settings.max_body_bytes)
        app.register_blueprint(entrance.blueprint())
        declare_public(app, *JOIN_ENDPOINTS)
        check_declared(app)
        return app

    def _entrance(self, tier: Tier, mailbox: Mailbox, endpoint: MqttEndpoint) -> Entrance:
        settings = self._settings
        lower = tier.links.lower
        return open_entrance(
            entrance_settings(
                ChildKind.CLUSTER,
                settings.data_dir,
                settings.http_host,
                settings.waiting_room,
                settings.join_token_life_s,
                has_local_children=settings.http_loopback,
            ),
            self._documents,
            self._members,
            DynsecAdmin(endpoint),
            parent_address(
                "root",
                settings.mqtt_host,
                settings.mqtt_port,
                settings.child_mqtt_host,
                settings.child_mqtt_port,
                settings.tls,
            ),
            self._clock,
            LinkCalls(
                on_joined=lambda joined: mailbox.post(ClusterJoined(joined.child_id)),
                on_forgotten=lambda child_id: mailbox.post(ClusterForgotten(child_id)),
                is_ready=lambda child_id: mailbox.call(lambda: lower.readiness(child_id)) is Readiness.READY,
                drop=lambda child_id: mailbox.call(lambda: tier.links.forget(child_id)),
            ),
            settings.first_token_file,
        )
