"""Versions of a service over the API, and what becomes of a rollout that the scheduler found to fail."""

from dataclasses import replace
from typing import Any

import pytest

from edge_common.model.ids import ServiceId
from edge_common.model.lifecycle import State
from edge_common.model.resources import Resources
from root_orchestrator.core.records import ServiceIntent
from root_orchestrator.core.rollout import Verdict
from root_orchestrator.core.updates import Phase
from root_orchestrator.core.versions import MAX_VERSIONS, can_go_back, differences, revisions_like, with_spec
from tests.unit.root.world import ALICE, Client, World, microservice, sla

CANARY = {"strategy": "canary"}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World) -> Client:
    return world.client(ALICE)


def applied(client: Client, **changes: Any) -> str:
    answer = client.put("/api/apply", sla(microservice(**changes)))
    (service,) = answer["applications"][0]["services"]
    return str(service["microserviceID"])


def stored(world: World, service_id: str) -> ServiceIntent:
    found = world.store.service(ServiceId(service_id))
    assert found is not None
    return found


def found_well(world: World, service_id: str) -> None:
    """The scheduler saw all instances well."""
    service = stored(world, service_id)
    rollout = replace(service.rollout, phase=Phase.DONE, stable_revision=service.spec_revision)
    world.manager.note_rollouts([(service, Verdict(rollout))])


def found_bad(world: World, service_id: str, reason: str = "Instance 0 failed.") -> None:
    service = stored(world, service_id)
    world.manager.note_rollouts([(service, Verdict(replace(service.rollout, reason=reason), goes_back=True))])


def test_each_spec_is_in_the_history_with_what_it_changed(client: Client) -> None:
    service_id = applied(client)
    applied(client, code="docker.io/library/busybox:1.37")
    newest, oldest = client.get(f"/api/service/{service_id}/history")
    assert (newest["spec_revision"], newest["is_current"], oldest["spec_revision"]) == (2, True, 1)
    assert newest["changes"] == [
        {"field": "image", "before": "docker.io/library/busybox:1.36", "after": "docker.io/library/busybox:1.37"}
    ]
    assert oldest["sla"]["code"] == "docker.io/library/busybox:1.36"


def test_another_policy_makes_no_new_spec(world: World, client: Client) -> None:
    service_id = applied(client)
    answer = client.put("/api/apply", sla(microservice(update=CANARY)))
    (change,) = answer["applications"][0]["services"]
    assert (change["outcome"], change["spec_revision"]) == ("changed", 1)
    assert client.get(f"/api/service/{service_id}")["rollout"]["strategy"] == "canary"


def test_a_rollback_is_a_new_revision_with_the_old_spec(world: World, client: Client) -> None:
    service_id = applied(client)
    applied(client, code="docker.io/library/busybox:1.37", update=CANARY, replicas=2)
    answer = client.post(f"/api/service/{service_id}/rollback", {"revision": 1})
    assert (answer["spec_revision"], answer["replicas"]) == (3, 2)
    service = client.get(f"/api/service/{service_id}")
    assert service["code"] == "docker.io/library/busybox:1.36"
    assert service["update"] == CANARY
    assert revisions_like(stored(world, service_id), stored(world, service_id).spec) == {1, 3}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"revision": 7}, 404, "has not kept revision 7; it has kept 1"),
        ({"revision": 2}, 409, "is at revision 2 already"),
        ({"revision": 0}, 400, "revision"),
    ],
)
def test_a_rollback_to_nowhere_is_refused(client: Client, body: dict[str, int], status: int, words: str) -> None:
    service_id = applied(client)
    applied(client, memory=99)
    answer = client.post(f"/api/service/{service_id}/rollback", body, status=status)
    assert words in answer["message"]


def test_without_a_revision_it_goes_to_the_last_that_was_well(world: World, client: Client) -> None:
    service_id = applied(client)
    found_well(world, service_id)
    applied(client, memory=98)
    applied(client, memory=99)
    client.post(f"/api/service/{service_id}/rollback", {})
    assert client.get(f"/api/service/{service_id}")["memory"] == 64


def test_what_fails_goes_back_by_itself_and_says_why(world: World, client: Client) -> None:
    service_id = applied(client)
    found_well(world, service_id)
    applied(client, code="no-such-image")
    found_bad(world, service_id)
    rollout = client.get(f"/api/service/{service_id}")["rollout"]
    assert (rollout["state"], rollout["from"], rollout["to"]) == ("rolling_back", 1, 3)
    assert rollout["reason"] == "Back to revision 1: Instance 0 failed."
    assert world.nudges.heard.count(ServiceId(service_id)) >= 3
    found_well(world, service_id)
    assert client.get(f"/api/service/{service_id}")["rollout"]["state"] == "rolled_back"


def test_an_old_verdict_changes_nothing(world: World, client: Client) -> None:
    service_id = applied(client)
    before = stored(world, service_id)
    applied(client, memory=99)
    world.manager.note_rollouts([(before, Verdict(replace(before.rollout, phase=Phase.DONE)))])
    assert stored(world, service_id).rollout.phase is Phase.ROLLING


def test_a_rotated_secret_has_no_way_back(world: World, client: Client) -> None:
    client.post("/api/secrets", {"name": "key", "value": "b25l"})
    service_id = applied(client, secrets=[{"name": "key", "env": "KEY"}])
    found_well(world, service_id)
    client.put("/api/secrets/key", {"value": "dHdv"})
    assert stored(world, service_id).spec_revision == 2
    found_bad(world, service_id)
    rollout = stored(world, service_id).rollout
    assert rollout.phase is Phase.PAUSED
    assert "values" in rollout.reason


def test_an_address_that_somebody_took_meanwhile_bars_the_way_back(world: World, client: Client) -> None:
    service_id = applied(client, addresses={"rr_ip": "10.30.0.7"})
    found_well(world, service_id)
    applied(client)
    other = microservice(microservice_name="other", addresses={"rr_ip": "10.30.0.7"})
    client.put("/api/apply", sla(other, application_name="second"))
    assert "10.30.0.7" in client.post(f"/api/service/{service_id}/rollback", {}, status=409)["message"]
    found_bad(world, service_id)
    rollout = stored(world, service_id).rollout
    assert rollout.phase is Phase.PAUSED
    assert "There is no way back: revision 1: the address 10.30.0.7 is not free" in rollout.reason


def test_pause_resume_and_promote(world: World, client: Client) -> None:
    service_id = applied(client, update=CANARY)
    order = f"/api/service/{service_id}/rollout"
    client.post(order, {"order": "pause"})
    assert client.get(f"/api/service/{service_id}")["rollout"]["state"] == "paused"
    client.post(order, {"order": "resume"})
    client.post(order, {"order": "promote"})
    assert stored(world, service_id).rollout.is_promoted
    assert "waits for a promotion" in client.post(order, {"order": "promote"}, status=409)["message"]
    assert "paused" in client.post(order, {"order": "resume"}, status=409)["message"]
    assert "order" in client.post(order, {"order": "jump"}, status=400)["message"]


def test_both_instances_of_a_slot_are_shown_while_they_share_it(world: World, client: Client) -> None:
    service_id = applied(client)
    applied(client, memory=99)
    world.add_cluster()
    old = world.place(service_id, instance_id="old")
    world.hear(old, State.RUNNING)
    world.clock.advance(1)
    world.hear(world.place(service_id, instance_id="new", spec_revision=2), State.CREATING)
    service = client.get(f"/api/service/{service_id}")
    shown = [(i["instance_number"], i["instance_id"], i["is_current"]) for i in service["instance_list"]]
    assert shown == [(0, "old", False), (0, "new", True)]
    assert (service["rollout"]["updated"], service["rollout"]["healthy"]) == (1, 0)


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"strategy": "yolo"}, "update.strategy: must be one of rolling, canary, blue_green"),
        ({"max_surge": "150%"}, "update.max_surge: must be a number of instances or a percentage"),
        ({"canary": 2}, "update.canary: belongs to the strategy canary"),
        ({"promote_after": 2}, "update.promote_after: belongs to"),
        ({"strategy": "blue_green", "order": "stop_first"}, "update.order: blue_green"),
        ({"order": "stop_first", "max_unavailable": 0}, "update.max_unavailable: must be at least 1"),
        ({"min_healthy": 60, "deadline": 30}, "update.deadline: must be longer"),
        ({"when": "now"}, "update.when"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(client: Client, update: dict[str, Any], words: str) -> None:
    answer = client.put("/api/apply", sla(microservice(update=update)), status=400)
    assert words in answer["message"]


def test_the_history_is_bounded_but_keeps_what_was_well(world: World, client: Client) -> None:
    service = stored(world, applied(client))
    service = replace(service, rollout=replace(service.rollout, stable_revision=1))
    for number in range(2 * MAX_VERSIONS):
        service = with_spec(service, replace(service.spec, image=f"busybox:{number}"), {}, float(number))
    assert len(service.history) == MAX_VERSIONS + 1
    assert service.history[0].revision == 1
    assert can_go_back(service)


def test_differences_are_told_by_name(world: World, client: Client) -> None:
    spec = stored(world, applied(client)).spec
    other = replace(spec, resources=replace(spec.resources, memory_mb=1))
    assert differences(spec, other) == {"resources.memory_mb": (64, 1)}


def add_room(world: World) -> None:
    """A cluster of one node with room for two instances of 400 MiB."""
    record = world.add_cluster()
    (pool,) = record.summary.pools
    pool = replace(pool, node_count=1, largest=(Resources(3000, 1024, 50),))
    world.placements.known[:] = [replace(record, summary=replace(record.summary, pools=(pool,)))]


def planned(client: Client, **changes: Any) -> Any:
    answer = client.put("/api/apply?dry_run=true", sla(microservice(**changes)))
    (service,) = answer["applications"][0]["services"]
    return service


def test_a_dry_run_tells_where_new_instances_would_go_and_what_is_refused(world: World, client: Client) -> None:
    add_room(world)
    service = planned(client, replicas=3, port="", memory=400)
    assert service["placement"]["placed"] == [{"cluster_name": "home", "instances": 2}]
    assert service["placement"]["refused"] == 1
    assert "memory" in service["placement"]["detail"]
    service = planned(client, memory=9000)
    (judged,) = service["placement"]["clusters"]
    assert (judged["fits"], judged["refused_by"]) == (False, ["memory", "shape"])
    assert world.store.services() == []


def test_a_dry_run_tells_which_fields_change(world: World, client: Client) -> None:
    world.add_cluster()
    applied(client, port="")
    assert planned(client, port="")["placement"] is None
    service = planned(client, port="", memory=99)
    assert service["changes"] == [{"field": "resources.memory_mb", "before": 64, "after": 99}]
    assert service["placement"]["tried"] == 1
    assert planned(client, memory=99)["placement"] is None, "with a port of the host the old one makes room first"
