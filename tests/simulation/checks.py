"""What may never happen, and what must be so in the end."""

from collections import Counter

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.lifecycle import Desired, State
from edge_common.model.resources import NOTHING, Resources
from root_orchestrator.core.versions import revisions_like
from tests.simulation.actors import ClusterActor
from tests.simulation.world import World


def check_always(world: World) -> None:
    for cluster in world.clusters:
        check_nothing_is_promised_twice(cluster)
    check_no_restart_without_cause(world)


def check_nothing_is_promised_twice(cluster: ClusterActor) -> None:
    """What a cluster has assigned to a node, and not seen ended, fits in it."""
    if cluster.tier is None:
        return
    links, placements = cluster.tier.links, cluster.tier.links.placements
    observed = placements.all_observations()
    taken: dict[str, Resources] = {}
    for assignment in placements.all_assignments():
        wanted = links.wanted(assignment.service_id)
        seen = observed.get(assignment.instance_id)
        if wanted is None or not assignment.is_placed or (seen is not None and seen.is_terminal):
            continue
        if assignment.spec_revision == wanted.spec_revision:
            taken[assignment.child_id] = taken.get(assignment.child_id, NOTHING) + wanted.spec.resources
    for node_id, used in taken.items():
        record = next((each for each in links.nodes.values() if each.info.node_id == node_id), None)
        assert record is None or used.fits_in(record.info.capacity), f"{node_id} has promised {used}"


def check_no_restart_without_cause(world: World) -> None:
    """An instance starts once on its node, unless it ended by itself or its machine was rebooted."""
    for node in world.nodes:
        for instance_id, count in node.runtime.started.items():
            assert count == 1 or instance_id in world.excused, f"{instance_id} on {node.name} began {count} times"


def check_converged(world: World) -> None:
    expected = world.expected()
    tier = world.root.tier
    assert tier is not None
    running: Counter[ServiceId] = Counter()
    slots: Counter[tuple[str, int]] = Counter()
    ids: set[InstanceId] = set()
    for node in world.nodes:
        for instance_id in node.runtime.running():
            service_id, number = node.runtime.numbers[instance_id]
            running[ServiceId(service_id)] += 1
            slots[service_id, number] += 1
            ids.add(instance_id)
    wanted = {service_id: count for service_id, count in expected.items() if count}
    assert dict(running) == wanted, f"runs {dict(running)}, wanted {wanted}"
    assert all(count == 1 for count in slots.values()), f"a slot runs twice: {slots}"
    assignments = tier.placements.all_assignments()
    observed = tier.placements.all_observations()
    assert Counter(each.service_id for each in assignments) == Counter(wanted), "the root's assignments"
    for assignment in assignments:
        assert assignment.desired is Desired.RUNNING
        assert observed[assignment.instance_id].state is State.RUNNING, observed[assignment.instance_id]
    newest = {each.service_id: revisions_like(each, each.spec) for each in tier.intents.services()}
    outdated = [each for each in assignments if each.spec_revision not in newest[each.service_id]]
    assert not outdated, f"still of an older spec: {outdated}"
    for cluster in world.clusters:
        assert cluster.tier is not None
        placed = {each.instance_id for each in cluster.tier.links.placements.all_assignments()}
        assert placed <= ids, f"{cluster.name} believes in {placed - ids}"
        assert cluster.tier.scheduler.summary(0).instance_count == len(placed)
