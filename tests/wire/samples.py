"""One message of each kind with every field set, so that a golden file shows them all."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from edge_common.model.cluster import ClusterInfo, Pool, Summary
from edge_common.model.ids import ApplicationId, ChildId, ClusterId, InstanceId, NodeId, ServiceId
from edge_common.model.instance import Observation
from edge_common.model.lifecycle import Health, Reason, State
from edge_common.model.network import Addresses, PortMapping, Subnet, Transport
from edge_common.model.node import NodeInfo, Usage
from edge_common.model.probes import Probe, ProbeKind, Probes
from edge_common.model.resources import Resources
from edge_common.model.service import (
    Constraints,
    Device,
    PullPolicy,
    RestartMode,
    RestartPolicy,
    ServiceSpec,
    Spreading,
    Ulimit,
)
from edge_common.model.values import Attachment, SealedValue, ValueId, ValueKind, ValueRef
from edge_common.wire.join_messages import ChildKind, Hello, JoinAnswer, JoinRequest, JoinStatus, MqttAccess
from edge_common.wire.messages import (
    AssignedInstance,
    DesiredService,
    Manifest,
    Presence,
    Report,
    Request,
    Response,
    SpecVersion,
)
from edge_common.wire.net_messages import InstancePlace, InstancePlaces, InstanceWish, NetworkState, SubnetGrant

SUBNET = Subnet("10.16.16.64/26", "fc00::1:100/120")
PLACE = InstancePlace(InstanceId("aaaaaaaaaaaaaaaaaaaaaaaa"), "/run/netns/hgr-a", "10.16.16.66", "fc00::1:102")

SERVICE = ServiceId("5f3e1c0b9a8d7e6f5a4b3c2d")

PASSWORD = ValueRef(ValueKind.SECRET, "db-password", ValueId("bbbbbbbbbbbbbbbbbbbbbbbb"), 3)
SITE = ValueRef(ValueKind.CONFIG, "site", ValueId("cccccccccccccccccccccccc"), 1)
LOGIN = ValueRef(ValueKind.SECRET, "registry", ValueId("dddddddddddddddddddddddd"), 2)

SPEC = ServiceSpec(
    SERVICE,
    ApplicationId("0123456789abcdef01234567"),
    "shop.prod.web.prod",
    "container",
    "registry.example:5000/web@sha256:00ff",
    command=("httpd", "-f"),
    environment=("COLOUR=grün",),
    working_directory="/srv",
    user="1000:1000",
    resources=Resources(500, 64, 100),
    pids_limit=50,
    ulimits=(Ulimit("nofile", 1_024, 4_096),),
    devices=(Device("/dev/ttyUSB0", "/dev/sensor", "rw"),),
    is_privileged=True,
    is_root_read_only=True,
    is_one_shot=True,
    ports=(PortMapping(8080, 80, Transport.UDP),),
    addresses=Addresses("10.30.0.1", "fdff::1", "10.30.0.2", "fdff::2"),
    pull_policy=PullPolicy.ALWAYS,
    restart=RestartPolicy(RestartMode.ON_FAILURE, 3, 0.5, 30.0, 120.0),
    probes=Probes(
        startup=Probe(ProbeKind.EXEC, command=("test", "-e", "/ready"), failures=30),
        readiness=Probe(ProbeKind.HTTP, 80, "/ready", initial_delay_s=1.5, interval_s=2.0, timeout_s=0.5, successes=2),
        liveness=Probe(ProbeKind.GRPC, 81, service="db"),
    ),
    stop_grace_s=2.5,
    architectures=("amd64", "arm64"),
    constraints=Constraints(("berlin",), ("n1",)),
    spreading=Spreading.BINPACK,
    lease_s=20.0,
    attachments=(
        Attachment(PASSWORD, variable="DB_PASSWORD"),
        Attachment(SITE, path="/etc/site.conf", mode=0o440, uid=1000),
    ),
    registry_login=LOGIN,
)

OBSERVATION = Observation(
    InstanceId("aaaaaaaaaaaaaaaaaaaaaaaa"),
    SERVICE,
    2,
    State.FAILED,
    succession=1,
    attempt=4,
    reason=Reason.EXITED,
    detail="It ended with exit code 3.",
    health=Health.UNHEALTHY,
    exit_code=3,
    node_id=NodeId("n1"),
    node_name="kitchen",
    address="192.0.2.7",
    namespace_ip="10.16.16.66",
    namespace_ip_v6="fc00::1:102",
    changed_at_s=1_800_000_000.25,
)

NODE = NodeInfo(
    NodeId("n1"),
    "kitchen",
    "arm64",
    ("container", "wasm"),
    Resources(4_000, 8_192, 30_000),
    "192.0.2.7",
    has_overlay=True,
    subnets_wanted=2,
    subnets=(SUBNET,),
    labels=(("room", "kitchen"), ("zone", "a")),
    version="0.1.0",
    sealing_key="3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=",
)

SUMMARY = Summary(
    7,
    3,
    2,
    12,
    (
        Pool(
            "arm64",
            ("container",),
            True,
            2,
            Resources(8_000, 16_384, 60_000),
            Resources(3_000, 4_096, 20_000),
            (Resources(2_000, 1_024, 10_000), Resources(1_000, 3_072, 10_000)),
        ),
    ),
    blocks_wanted=3,
    blocks=(Subnet("10.16.16.0/20", "fc00::1:0:0/104"),),
)

CHILD = ChildId("5f0c2d9a7b3e4f1c8d6a0b2e")
MQTT = MqttAccess("192.0.2.7", 10_003, CHILD, "m0Q5xYt2Wq8rLk3vNs7zPb1cHd9fJg4e", is_tls=True)

SAMPLES: Mapping[type[Any], Any] = MappingProxyType(
    {
        AssignedInstance: AssignedInstance(InstanceId("aaaaaaaaaaaaaaaaaaaaaaaa"), 2, 6),
        SpecVersion: SpecVersion(6, SPEC),
        DesiredService: DesiredService(
            SERVICE,
            7,
            3,
            SPEC,
            (AssignedInstance(InstanceId("aaaaaaaaaaaaaaaaaaaaaaaa"), 2, 6),),
            (SealedValue(PASSWORD.value_id, 3, "c2VhbGVk"),),
            (SpecVersion(6, SPEC),),
        ),
        Manifest: Manifest(7, {SERVICE: 7, ServiceId("other"): 2}, (SUBNET,)),
        Report: Report(
            "18bcfe56800-0a1b2c3d",
            42,
            7,
            is_full=True,
            observations=(OBSERVATION,),
            node=NODE,
            cluster=ClusterInfo(
                ClusterId("c1"),
                "berlin",
                "52.52,13.40,5000",
                "192.0.2.1",
                10_100,
                "0.1.0",
                "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=",
            ),
            summary=SUMMARY,
            usage=Usage(12.5, 50.0, 1_234),
            csr="-----BEGIN CERTIFICATE REQUEST-----\nMIHT\n",
        ),
        Presence: Presence(is_online=True, boot_id="18bcfe56800-0a1b2c3d"),
        Request: Request("0a1b2c", "logs", {"instance_id": "aaaaaaaaaaaaaaaaaaaaaaaa", "lines": 10}),
        Response: Response("0a1b2c", {"text": "hello\n"}, "NotFound", "No instance x."),
        Hello: Hello("garden", "3e8.0a1b2c3d4e5f.9f86d081884c7d65", "-----BEGIN CERTIFICATE-----\nMIIB\n"),
        NetworkState: NetworkState("0.1.0", False, "There is no nft.", 1430, (SUBNET,), 2, 58, "192.0.2.7", 50103),
        SubnetGrant: SubnetGrant((SUBNET,)),
        InstancePlace: PLACE,
        InstanceWish: InstanceWish((PortMapping(8080, 80, Transport.UDP),)),
        InstancePlaces: InstancePlaces((PLACE,)),
        JoinRequest: JoinRequest(
            ChildKind.NODE,
            "shed",
            "-----BEGIN CERTIFICATE REQUEST-----\nMIHT\n",
            "3e8.0a1b2c3d4e5f.9f86d081884c7d65",
            "MEUCIQDq1nH0cPqkRzJm3S0mXwq7o0u1n5mN2k4d8sY6tLzVbA==",
            "0a1b2c3d.Zk3vX9pQ2rT7uW1yB4nM6cD8eF0gH5jK3lS9aVxOiPw",
            {"architecture": "arm64"},
        ),
        MqttAccess: MQTT,
        JoinAnswer: JoinAnswer(
            CHILD,
            JoinStatus.ADMITTED,
            "garden",
            MQTT,
            "-----BEGIN CERTIFICATE-----\nMIIC\n",
            "-----BEGIN CERTIFICATE-----\nMIIB\n",
        ),
    }
)
