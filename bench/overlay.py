"""TCP between two hosts, which are network namespaces with a cable between them: Gbit/s of iperf3, median of rounds.

`veth` is the bare cable. `vxlan` is the overlay as one sets it up by hand: a bridge on each host with an instance and
a VXLAN link as its ports. `instance_ip` and `service_ip` are ours. The ways take turns, so that a noisy machine
disturbs all of them.
"""

import contextlib
import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from edge_common.model.errors import Broken
from net_manager.adapters import namespaces
from tests.parts.overlay import CABLE_MTU, OVERLAY_MTU, SERVICE, UNDERLAY, two_hosts
from tests.support import eventually

SECONDS = 3
ROUNDS = 3
STREAMS = (1, 8)
PORT = 5201
COMMAND_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Way:
    """From the namespace `client` to `address`, where the namespace `server` listens."""

    name: str
    client: Path
    server: Path
    address: str


def run() -> dict[str, float]:
    if not shutil.which("iperf3"):
        raise SystemExit("This benchmark needs iperf3; install it with apt-get install iperf3.")
    with two_hosts() as ours, by_hand() as hand:
        ways = (
            Way("veth", ours.hosts[0].path, ours.hosts[1].path, UNDERLAY[1]),
            Way("vxlan", hand[0], hand[1], "10.40.0.2"),
            Way("instance_ip", *ours.insides, "10.30.1.2"),
            Way("service_ip", *ours.insides, SERVICE),
        )
        found: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for streams in STREAMS:
                for way in ways:
                    name = f"{way.name}_gbps" + ("" if streams == 1 else f"_{streams}")
                    found.setdefault(name, []).append(gbps(way, streams))
    figures = {name: median(values) for name, values in found.items()}
    figures["service_ip_of_vxlan"] = figures["service_ip_gbps"] / figures["vxlan_gbps"]
    return figures


def gbps(way: Way, streams: int) -> float:
    server = subprocess.Popen(
        ["nsenter", f"--net={way.server}", "iperf3", "-s", "-1", "-p", str(PORT)], stdout=subprocess.DEVNULL
    )
    try:
        eventually(lambda: is_listening(way.server))
        spoken = command(
            way.client, "iperf3", "-J", "-c", way.address, "-p", str(PORT), "-t", str(SECONDS), "-P", str(streams)
        )
        server.wait(COMMAND_TIMEOUT_S)
    finally:
        server.kill()
        server.wait()
    return float(json.loads(spoken)["end"]["sum_received"]["bits_per_second"]) / 1e9


def is_listening(path: Path) -> bool:
    tables = namespaces.within(
        path, lambda: "".join(Path("/proc/thread-self/net", name).read_text() for name in ("tcp", "tcp6"))
    )
    return f":{PORT:04X} 0" in tables


@contextlib.contextmanager
def by_hand() -> Iterator[tuple[Path, Path]]:
    """The instances' namespaces of two hosts that `ip` alone made."""
    tag = secrets.token_hex(3)
    hosts, insides = ([f"{kind}{end}-{tag}" for end in (1, 2)] for kind in ("byhand", "inside"))
    try:
        for name in (*hosts, *insides):
            namespaces.create(name)
        first, second = (namespaces.DIRECTORY / host for host in hosts)
        command(first, "ip", "link", "add", "uplink", "type", "veth", "peer", "name", "uplink", "netns", hosts[1])
        for number, host in enumerate((first, second)):
            overlay_by_hand(host, insides[number], number)
        yield namespaces.DIRECTORY / insides[0], namespaces.DIRECTORY / insides[1]
    finally:
        for name in (*hosts, *insides):
            namespaces.remove(name)


def overlay_by_hand(host: Path, inside: str, number: int) -> None:
    mtu, local, remote = OVERLAY_MTU, UNDERLAY[number], UNDERLAY[1 - number]
    for line in (
        f"addr add {local}/30 dev uplink",
        f"link set uplink up mtu {CABLE_MTU}",
        f"link add tunnel mtu {mtu} type vxlan id 9 dstport 4789 local {local} remote {remote}",
        f"link add bridge mtu {mtu} type bridge",
        f"link add port mtu {mtu} type veth peer name eth0 mtu {mtu} netns {inside}",
        "link set tunnel master bridge up",
        "link set port master bridge up",
        "link set bridge up",
    ):
        command(host, "ip", *line.split())
    instance = namespaces.DIRECTORY / inside
    command(instance, "ip", "addr", "add", f"10.40.0.{number + 1}/24", "dev", "eth0")
    command(instance, "ip", "link", "set", "eth0", "up")


def command(path: Path, *words: str) -> str:
    done = subprocess.run(
        ["nsenter", f"--net={path}", *words], capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise Broken(f"{' '.join(words)} failed: {(done.stderr or done.stdout).strip()[:300]}")
    return done.stdout
