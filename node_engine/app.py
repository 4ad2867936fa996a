"""The composition root of a node: the only file that knows every class."""

import logging
import socket
from collections.abc import Callable

from edge_common import __version__
from edge_common.link.child import last_will
from edge_common.link.desired_store import DocumentDesiredStore
from edge_common.link.events import End, PostingEvents
from edge_common.link.identity import Identity, IdentityFiles
from edge_common.link.join import join
from edge_common.link.membership import Membership
from edge_common.link.renewal import CertificateRenewal
from edge_common.model.errors import InvalidInput, Temporary
from edge_common.model.ids import NodeId
from edge_common.plumbing.clock import SystemClock
from edge_common.plumbing.documents.open import open_documents
from edge_common.plumbing.heap import give_back_free_memory, give_back_large_blocks
from edge_common.plumbing.ids import boot_id
from edge_common.plumbing.mailbox import Mailbox
from edge_common.plumbing.mqtt import MqttTransport
from edge_common.plumbing.sealing import load_or_make_sealing_key
from edge_common.wire.join_messages import ChildKind
from node_engine.adapters.cluster_address import dialled_url
from node_engine.adapters.engine_lock import EngineLock
from node_engine.adapters.link_note import NotingEvents, forget_note
from node_engine.adapters.log_files import LogFiles
from node_engine.adapters.networks import open_network
from node_engine.adapters.pool import ThreadPool
from node_engine.adapters.probe import MachineProbe
from node_engine.adapters.probing import InstanceProber
from node_engine.adapters.record_store import DocumentRecordStore
from node_engine.adapters.runtimes.containerd import ContainerdRuntime, RegistrySettings
from node_engine.adapters.value_files import ValueFiles
from node_engine.reporter import Profile
from node_engine.service import NodeParts, node_service
from node_engine.settings import PREFIX, Settings

logger = logging.getLogger(__name__)

CHORE_THREADS = 4
PROBE_THREADS = 8
WAITING_JOBS = 8
"""Beyond those that run, so that a thread finds the next one at once."""


class App:
    """A running node. `start` waits for the parent only before it ever joined; later it needs no network."""

    def __init__(self, settings: Settings) -> None:
        if settings.operations < 2:
            raise InvalidInput(
                f"{PREFIX}OPERATIONS is {settings.operations}; it must be at least 2.", f"{PREFIX}OPERATIONS"
            )
        give_back_large_blocks()
        self._settings = settings
        self._clock = SystemClock()
        self._labels = settings.label_pairs()
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = EngineLock(settings.data_dir)
        forget_note(settings.data_dir)
        self._identity_files = IdentityFiles(settings.data_dir)
        self._membership = Membership(self._join, self._identity_files, self._clock)
        self._stops: list[Callable[[], object]] = []

    def start(self) -> None:
        identity = self._membership.identity()
        if identity is None:
            raise Temporary("Stopped before the cluster admitted this node.")
        mailboxes: list[Mailbox] = []

        def post(event: object) -> bool:
            return bool(mailboxes) and mailboxes[0].post(event)

        settings = self._settings
        documents = open_documents(settings.documents_url)
        logs = LogFiles(settings.instance_log_dir)
        runtime = containerd_runtime(settings, logs)
        transport = MqttTransport(
            identity.endpoint,
            str(identity.child_id),
            NotingEvents(PostingEvents(End.UPPER, post), settings.data_dir, self._clock),
            last_will(identity.child_id),
        )
        pool = ThreadPool("operations", settings.operations, settings.operations + WAITING_JOBS, post)
        chores = ThreadPool("chores", CHORE_THREADS, CHORE_THREADS + WAITING_JOBS, post)
        probing = ThreadPool("probes", PROBE_THREADS, PROBE_THREADS + WAITING_JOBS, post)
        runtimes = {runtime.name: runtime}
        service = node_service(
            NodeParts(
                profile=self._profile(identity),
                boot_id=boot_id(self._clock),
                transport=transport,
                desired=DocumentDesiredStore(documents),
                records=DocumentRecordStore(documents),
                runtimes=runtimes,
                pool=pool,
                chores=chores,
                probing=probing,
                prober=InstanceProber(runtimes),
                probe=MachineProbe(settings.data_dir, settings.parent_url),
                logs=logs,
                clock=self._clock,
                post=post,
                max_starts=settings.operations - max(1, settings.operations // 4),
                report_interval_s=settings.report_interval_s,
                sealing=load_or_make_sealing_key(settings.sealing_key_file),
                renewal=CertificateRenewal(self._identity_files, self._clock),
                network=open_network(settings.net_manager_url, settings.net_manager_token_file),
            )
        )
        mailbox = Mailbox(service, name="node")
        mailboxes.append(mailbox)
        mailbox.start()
        transport.start()
        self._membership.keep(transport)
        self._stops = [
            self._membership.stop,
            mailbox.stop,
            pool.stop,
            chores.stop,
            probing.stop,
            transport.stop,
            runtime.close,
            documents.close,
        ]
        give_back_free_memory()
        logger.info("event=serving node=%s instances=%d", identity.child_id, len(service.instances.records))

    def stop(self) -> None:
        """What runs goes on."""
        self._membership.stop()
        for stop in self._stops:
            stop()
        self._lock.release()

    def _join(self) -> Identity:
        settings = self._settings
        name = settings.name or socket.gethostname()
        url = dialled_url(settings.parent_url)
        return join(url, self._token(), ChildKind.NODE, name, settings.data_dir, {})

    def _token(self) -> str:
        file = self._settings.join_token_file
        return file.read_text().strip() if file is not None and file.exists() else ""

    def _profile(self, identity: Identity) -> Profile:
        settings = self._settings
        return Profile(
            node_id=NodeId(identity.child_id),
            name=settings.name,
            address=settings.address,
            labels=self._labels,
            version=__version__,
            reserved_memory_mb=settings.reserved_memory_mb,
        )


def containerd_runtime(settings: Settings, logs: LogFiles) -> ContainerdRuntime:
    return ContainerdRuntime(
        settings.containerd_address,
        logs,
        RegistrySettings(plain_http=settings.plain_http_registries, auth_file=settings.registry_auth_file),
        namespace=settings.containerd_namespace,
        cgroup_parent=settings.cgroup_parent,
        values=ValueFiles(settings.values_dir),
    )
