"""What may go wrong, drawn from the seed: each fault begins, lasts a while, and ends."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from edge_common.link.memory_broker import MemoryBroker
from tests.simulation.world import World

LONGEST_S = 12.0


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    until_s: float
    end: Callable[[], None]


class Faults:
    """At most `overlap` at a time."""

    def __init__(self, world: World, random: Random, overlap: int = 2) -> None:
        self._world = world
        self._random = random
        self._overlap = overlap
        self._active: list[Fault] = []
        self.history: list[str] = []

    def step(self) -> None:
        now_s = self._world.clock.monotonic_s()
        for fault in [each for each in self._active if each.until_s <= now_s]:
            fault.end()
            self._active.remove(fault)
        if len(self._active) < self._overlap and self._random.random() < 0.5:
            self._begin(now_s)

    def end_all(self) -> None:
        for fault in self._active:
            fault.end()
        self._active.clear()

    def _begin(self, now_s: float) -> None:
        begin = self._random.choice(
            (
                self._crash_root,
                self._crash_cluster,
                self._crash_node,
                self._crash_node,
                self._reboot_node,
                self._isolate_node,
                self._isolate_cluster,
                self._silence_node,
                self._silence_cluster,
                self._stop_broker,
                self._exit_task,
            )
        )
        name, end = begin()
        self.history.append(f"{now_s:.1f} {name}")
        self._active.append(Fault(name, now_s + self._random.uniform(0.5, LONGEST_S), end))

    def _crash_root(self) -> tuple[str, Callable[[], None]]:
        root = self._world.root
        root.crash()
        return "crash root", lambda: None if root.is_up else root.start()

    def _crash_cluster(self) -> tuple[str, Callable[[], None]]:
        cluster = self._random.choice(self._world.clusters)
        cluster.crash()
        return f"crash {cluster.name}", lambda: None if cluster.is_up else cluster.start()

    def _crash_node(self) -> tuple[str, Callable[[], None]]:
        node = self._random.choice(self._world.nodes)
        node.crash()
        return f"crash {node.name}", lambda: None if node.is_up else node.start()

    def _reboot_node(self) -> tuple[str, Callable[[], None]]:
        node = self._random.choice(self._world.nodes)
        self._world.excused.update(node.runtime.running())
        node.reboot()
        return f"reboot {node.name}", lambda: None if node.is_up else node.start()

    def _isolate_node(self) -> tuple[str, Callable[[], None]]:
        node = self._random.choice(self._world.nodes)
        node.cluster.broker.isolate(node.name)
        return f"isolate {node.name}", lambda: node.cluster.broker.heal(node.name)

    def _isolate_cluster(self) -> tuple[str, Callable[[], None]]:
        cluster = self._random.choice(self._world.clusters)
        self._world.root_broker.isolate(cluster.name)
        return f"isolate {cluster.name}", lambda: self._world.root_broker.heal(cluster.name)

    def _silence_node(self) -> tuple[str, Callable[[], None]]:
        node = self._random.choice(self._world.nodes)
        return f"silence {node.name}", self._silence(node.cluster.broker, node.name)

    def _silence_cluster(self) -> tuple[str, Callable[[], None]]:
        cluster = self._random.choice(self._world.clusters)
        return f"silence {cluster.name}", self._silence(self._world.root_broker, cluster.name)

    def _silence(self, broker: MemoryBroker, name: str) -> Callable[[], None]:
        """A cable that is pulled: it is back before anybody noticed, or the broker misses the client first."""
        broker.silence(name)
        is_noticed = self._random.random() < 0.5

        def end() -> None:
            if is_noticed:
                broker.cut(name)
            broker.heal(name)

        return end

    def _stop_broker(self) -> tuple[str, Callable[[], None]]:
        broker = self._random.choice(self._world.brokers())
        forgets = self._random.random() < 0.5
        broker.stop(forgets=forgets)
        return f"stop a broker, {forgets=}", broker.start

    def _exit_task(self) -> tuple[str, Callable[[], None]]:
        node = self._random.choice(self._world.nodes)
        instance_id = node.runtime.exit_one(self._random.choice, self._random.choice((0, 1)))
        if instance_id is not None:
            self._world.excused.add(instance_id)
        return f"exit of {instance_id}", lambda: None
