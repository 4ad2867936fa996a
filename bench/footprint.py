"""Memory (PSS) and processor time of each process over idle minutes, with ten instances running."""

import time
from pathlib import Path

import psutil

from tests.parts.stack import Stack, sla, stack

INSTANCES = 10
IDLE_S = 120.0
SETTLE_S = 10.0
PARTS = ("node", "root", "cluster", "mosquitto", "containerd")


def run() -> dict[str, float]:
    with stack() as running:
        running.apply(sla("idle", INSTANCES))
        running.wait_running(INSTANCES)
        return measure(running)


def measure(running: Stack, idle_s: float = IDLE_S) -> dict[str, float]:
    time.sleep(SETTLE_S)
    pids = {part: pid for part, pid in running.pids().items() if part in PARTS}
    before_s = {part: cpu_s(pid) for part, pid in pids.items()}
    began_s = time.monotonic()
    time.sleep(idle_s)
    elapsed_s = time.monotonic() - began_s
    pss_mb = {part: pss(pid) for part, pid in pids.items()}
    cpu_pct = {part: 100 * (cpu_s(pid) - before_s[part]) / elapsed_s for part, pid in pids.items()}
    return {
        "node_engine_pss_mb": round(pss_mb["node"], 1),
        "node_engine_cpu_pct": round(cpu_pct["node"], 2),
        "root_pss_mb": round(pss_mb["root"], 1),
        "root_cpu_pct": round(cpu_pct["root"], 2),
        "cluster_pss_mb": round(pss_mb["cluster"], 1),
        "cluster_cpu_pct": round(cpu_pct["cluster"], 2),
        "root_and_cluster_pss_mb": round(pss_mb["root"] + pss_mb["cluster"], 1),
        "root_and_cluster_cpu_pct": round(cpu_pct["root"] + cpu_pct["cluster"], 2),
        "broker_pss_mb": round(pss_mb["mosquitto"], 1),
        "broker_cpu_pct": round(cpu_pct["mosquitto"], 2),
        "containerd_pss_mb": round(pss_mb["containerd"], 1),
        "containerd_cpu_pct": round(cpu_pct["containerd"], 2),
        "idle_s": round(elapsed_s, 0),
    }


def pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
