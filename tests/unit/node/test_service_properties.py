"""Whatever happens to a node: one task an instance, nothing healthy stopped, and in the end what is wanted."""

from collections.abc import Callable, Mapping
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.lifecycle import TERMINAL, TRANSITIONS, Reason, State
from edge_common.model.network import PortMapping
from edge_common.model.service import RestartMode, RestartPolicy
from node_engine.core.record import Record
from node_engine.core.task import TaskKey, TaskState
from node_engine.ports import TaskFailure
from tests.unit.node.world import World, make_spec

SPECS = (
    make_spec("s1"),
    make_spec("s2", restart=RestartPolicy(RestartMode.ON_FAILURE, attempts=2), ports=(PortMapping(80, 80),)),
    make_spec("s3", is_one_shot=True, restart=RestartPolicy(RestartMode.NEVER)),
)
LONG_S = 200.0
"""More than the longest back-off and the sweeps it may have to wait for."""


def reachable(before: tuple[State, int], after: tuple[State, int]) -> bool:
    """Whether legal steps lead from one (state, attempt) to another; several may happen between two looks."""
    (state, attempt), (last, last_attempt) = before, after
    if last_attempt < attempt or (last_attempt > attempt and state in TERMINAL):
        return False
    found = {state} if last_attempt == attempt else {State.CREATING}
    waiting = list(found)
    while waiting:
        for step in TRANSITIONS[waiting.pop()] - found:
            found.add(step)
            waiting.append(step)
    return last in found


class Trial:
    """Does what a random plan says and looks at everything after each step."""

    def __init__(self) -> None:
        self.world = World(has_manual_pools=True, capacity=4)
        self.ids = count()
        self.wanted: dict[ServiceId, list[str]] = {spec.service_id: [] for spec in SPECS}
        self.known: dict[InstanceId, tuple[State, int]] = {}

    def act(self, name: str, number: int) -> None:
        actions: Mapping[str, Callable[[int], object]] = {
            "want": self.want,
            "withdraw": self.withdraw,
            "work": self.work,
            "deliver": self.deliver,
            "stray": self.stray,
            "exit": self.exit,
            "fail": self.fail,
            "kill": lambda _: self.world.restart(),
            "finish": lambda _: self.world.finish_work(),
            "reboot": self.reboot,
            "deafen": self.deafen,
            "away": self.away,
            "lose": lambda _: self.world.runtime.lose_answers(1),
            "cut": lambda _: self.world.broker.cut("node-1"),
            "wait": lambda n: self.world.pass_time((0.25, 1.0, 5.0, 31.0)[n % 4]),
        }
        actions[name](number)
        self.world.settle()
        self.check()

    def want(self, number: int) -> None:
        spec = SPECS[number % len(SPECS)]
        self.wanted[spec.service_id].append(f"i{next(self.ids)}")
        self.world.parent.want(spec, self.wanted[spec.service_id])

    def withdraw(self, number: int) -> None:
        spec = SPECS[number % len(SPECS)]
        wanted = self.wanted[spec.service_id]
        if wanted:
            wanted.pop(number % len(wanted))
            self.world.parent.want(spec, wanted)

    def work(self, number: int) -> None:
        pools = [pool for pool in (self.world.pool, self.world.chores) if pool.jobs]
        if pools:
            pool = pools[number % len(pools)]
            pool.run(number % len(pool.jobs))

    def deliver(self, number: int) -> None:
        pools = [pool for pool in (self.world.pool, self.world.chores) if pool.results]
        if pools:
            pool = pools[number % len(pools)]
            pool.deliver(number % len(pool.results))

    def stray(self, number: int) -> None:
        """A task that somebody made while nobody wrote it down."""
        state = (TaskState.CREATED, TaskState.RUNNING)[number % 2]
        self.world.runtime.add(TaskKey(InstanceId(f"stray{next(self.ids)}"), 1 + number % 3), state)

    def exit(self, number: int) -> None:
        running = self.world.runtime.running()
        if running:
            self.world.runtime.exit(running[number % len(running)].instance_id, number % 3)

    def fail(self, number: int) -> None:
        everything = self.all_wanted()
        if everything:
            failure = TaskFailure("The registry is away.", Reason.IMAGE_UNREACHABLE, is_permanent=number % 5 == 0)
            self.world.runtime.fail_next(everything[number % len(everything)], failure)

    def reboot(self, number: int) -> None:
        self.world.node.kill()
        self.world.runtime.reboot()
        self.world.node.boot()

    def deafen(self, number: int) -> None:
        self.world.runtime.does_tell = number % 3 != 0

    def away(self, number: int) -> None:
        self.world.runtime.is_reachable = number % 4 != 0

    def all_wanted(self) -> list[InstanceId]:
        return [InstanceId(each) for ids in self.wanted.values() for each in ids]

    def check(self) -> None:
        runtime = self.world.runtime
        assert all(most <= 1 for most in runtime.most_at_once.values()), runtime.most_at_once
        assert len(set(runtime.started)) == len(runtime.started), "an attempt began twice"
        assert not {key.instance_id for key in runtime.stopped} & set(self.all_wanted())
        for instance_id, record in self.world.service.instances.records.items():
            now = (record.state, record.attempt)
            assert reachable(self.known.get(instance_id, (State.CREATING, 1)), now), (instance_id, self.known, now)
            self.known[instance_id] = now

    def calm_down(self) -> None:
        runtime = self.world.runtime
        runtime.is_reachable = runtime.does_tell = True
        runtime.lose_answers(0)
        for _ in range(int(LONG_S)):
            self.world.pass_time(1.0)
            self.world.finish_work()
        self.check()

    def check_converged(self) -> None:
        records: Mapping[InstanceId, Record] = self.world.service.instances.records
        assert set(records) == set(self.all_wanted())
        live = {each for each, record in records.items() if record.state not in TERMINAL}
        assert {each for each in live if records[each].state is State.RUNNING} == live
        assert live <= {key.instance_id for key in self.world.runtime.running()}
        left = {task.key for task in self.world.runtime.tasks()} - {records[each].key for each in live}
        assert not left or self.world.parent.revision == 0
        for instance_id, record in records.items():
            heard = self.world.parent.observations[instance_id]
            assert (heard.state, heard.attempt) == (record.state, record.attempt)


ACTIONS = (
    ["want"] * 4
    + ["withdraw"] * 2
    + ["work", "deliver"] * 8
    + ["exit"] * 4
    + ["wait"] * 4
    + ["finish", "fail", "kill", "reboot", "deafen", "away", "lose", "cut", "stray"]
)
steps = st.tuples(st.sampled_from(ACTIONS), st.integers(0, 30))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=10, max_size=60))
def test_in_the_end_what_is_wanted_runs_and_nothing_else(plan: list[tuple[str, int]]) -> None:
    trial = Trial()
    for name, number in plan:
        trial.act(name, number)
    trial.calm_down()
    trial.check_converged()


def test_reachable_knows_the_table() -> None:
    assert reachable((State.CREATING, 1), (State.COMPLETED, 1))
    assert reachable((State.RUNNING, 1), (State.CREATING, 2))
    assert not reachable((State.FAILED, 1), (State.CREATING, 2))
    assert not reachable((State.RUNNING, 2), (State.RUNNING, 1))
