"""What commands do to what is wanted."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.errors import Conflict, InvalidInput, NotFound
from edge_common.model.ids import ApplicationId
from edge_common.wire.sla import parse_sla
from root_orchestrator.core import intents
from root_orchestrator.core.admission import ApplicationDraft, admit
from root_orchestrator.core.changes import Change, Made, Outcome
from root_orchestrator.core.records import Application, ServiceIntent
from tests.unit.root.world import microservice, sla


def made() -> Made:
    numbers = itertools.count()
    return Made("Admin", 100.0, lambda: f"id{next(numbers)}")


def drafts(*names: str, **changes: object) -> tuple[ApplicationDraft, ...]:
    return admit(parse_sla(sla(*(microservice(microservice_name=n, **changes) for n in names))), "Admin")


def stored(change: Change) -> tuple[Application, list[ServiceIntent]]:
    """As if the change had been written."""
    return change.put_applications[0], list(change.put_services)


def one(**changes: object) -> tuple[Application, ServiceIntent]:
    application, services = stored(intents.create_applications(drafts("web", **changes), [], made()))
    return application, services[0]


def test_creating_registers_and_starts_nothing() -> None:
    application, service = one()
    assert (application.name, application.owner, application.created_at_s) == ("shop", "Admin", 100.0)
    assert service.application_id == application.application_id == service.spec.application_id
    assert service.spec.service_id == service.service_id
    assert (service.slots, service.next_number, service.spec_revision) == ((), 0, 1)
    assert service.sla["microservice_name"] == "web"


def test_creating_starts_what_declares_replicas() -> None:
    _, service = one(replicas=3)
    assert (service.slots, service.next_number) == ((0, 1, 2), 3)


def test_a_name_is_taken_once_for_each_owner() -> None:
    application, _ = one()
    with pytest.raises(Conflict, match="already have an application shop in namespace test"):
        intents.create_applications(drafts("web"), [application], made())
    intents.create_applications(drafts("web"), [replace(application, namespace="other")], made())


def test_an_id_cannot_be_chosen() -> None:
    chosen = [replace(draft, application_id=ApplicationId("mine")) for draft in drafts("web")]
    with pytest.raises(InvalidInput, match="must be empty"):
        intents.create_applications(chosen, [], made())


def test_adding_a_service_twice_is_refused() -> None:
    application, service = one()
    with pytest.raises(Conflict, match=r"shop\.test\.web\.test exists already"):
        intents.add_services(application, [service], drafts("web")[0].services, made())
    gone = replace(service, is_removed=True)
    change = intents.add_services(application, [gone], drafts("web")[0].services, made())
    assert len(change.put_services) == 1 and change.put_applications == ()


def test_a_revision_counts_real_changes_only() -> None:
    application, service = one(replicas=1)
    same = intents.update_service(application, service, drafts("web")[0].services[0], 5.0)
    assert same.put_services == (replace(service, sla=drafts("web")[0].services[0].sla),)
    assert same.results[0].services[0].outcome is Outcome.UNCHANGED
    change = intents.update_service(application, service, drafts("web", memory=99)[0].services[0], 5.0)
    (changed,) = change.put_services
    assert (changed.spec_revision, changed.spec.resources.memory_mb, changed.slots) == (2, 99, (0,))
    assert change.results[0].services[0].outcome is Outcome.CHANGED


def test_an_update_may_scale_as_well() -> None:
    application, service = one(replicas=1)
    change = intents.update_service(application, service, drafts("web", replicas=3)[0].services[0], 5.0)
    assert change.put_services[0].slots == (0, 1, 2) and change.put_services[0].spec_revision == 1
    assert change.results[0].services[0].outcome is Outcome.SCALED


def test_removing_an_instance() -> None:
    application, service = one(replicas=3)
    (after,) = intents.remove_instance(application, service, 1).put_services
    assert after.slots == (0, 2)
    assert intents.remove_instance(application, after, 1).is_empty
    assert intents.remove_instance(application, service, intents.ALL_INSTANCES).put_services[0].slots == ()
    for number in (3, -2):
        with pytest.raises(NotFound, match="has no instance"):
            intents.remove_instance(application, service, number)


def test_a_service_that_never_had_an_instance_goes_at_once() -> None:
    application, service = one()
    assert intents.remove_service(application, service).delete_services == (service.service_id,)
    application, service = one(replicas=1)
    (left,) = intents.remove_service(application, service).put_services
    assert left.is_removed and left.slots == ()


def test_removing_an_application_removes_its_services() -> None:
    change = intents.create_applications(drafts("web", "db", replicas=1), [], made())
    application, services = stored(change)
    removal = intents.remove_application(application, services)
    assert removal.delete_applications == (application.application_id,)
    assert all(service.is_removed for service in removal.put_services) and len(removal.put_services) == 2
    assert intents.remove_application(application, list(removal.put_services)).put_services == ()


def test_apply_says_what_it_did() -> None:
    created = intents.apply(drafts("web", "db"), [], [], made())
    application, services = stored(created)
    assert [r.outcome for r in created.results[0].services] == [Outcome.CREATED, Outcome.CREATED]
    assert all(service.slots == (0,) for service in services)

    again = intents.apply(drafts("web", "db"), [application], services, made())
    assert again.is_empty and again.results[0].outcome is Outcome.UNCHANGED

    wanted = drafts("web", replicas=2, memory=99)
    kept = intents.apply(wanted, [application], services, made())
    assert [r.outcome for r in kept.results[0].services] == [Outcome.CHANGED, Outcome.KEPT]
    assert len(kept.put_services) == 1

    pruned = intents.apply(wanted, [application], services, made(), is_pruning=True)
    assert [r.outcome for r in pruned.results[0].services] == [Outcome.CHANGED, Outcome.REMOVED]
    assert [service.is_removed for service in pruned.put_services] == [False, True]


def test_apply_makes_a_removed_service_anew() -> None:
    application, service = one(replicas=1)
    (going,) = intents.remove_service(application, service).put_services
    change = intents.apply(drafts("web"), [application], [going], Made("Admin", 1.0, lambda: "new"))
    assert [s.service_id for s in change.put_services] == ["new"]


def test_apply_refuses_another_applications_id() -> None:
    application, _ = one()
    wrong = [replace(draft, application_id=ApplicationId("other")) for draft in drafts("web")]
    with pytest.raises(InvalidInput, match="leave it empty"):
        intents.apply(wrong, [application], [], made())


def test_an_address_belongs_to_one_service() -> None:
    fixed = {"rr_ip": "10.30.30.30"}
    application, service = one(addresses=fixed)
    own = {application.application_id}
    other = drafts("db", addresses=fixed)[0].services
    with pytest.raises(Conflict, match=r"10\.30\.30\.30 is not free"):
        intents.refuse_taken_addresses(other, [service], own)
    intents.refuse_taken_addresses(other, [replace(service, is_removed=True)], own)
    same = drafts("web", addresses=fixed)[0].services
    intents.refuse_taken_addresses(same, [service], own)
    with pytest.raises(Conflict, match="not free"):
        intents.refuse_taken_addresses(same, [service], [])


def _add(application: Application, service: ServiceIntent, _: int) -> Change:
    return intents.add_instance(application, service)


def _remove(application: Application, service: ServiceIntent, n: int) -> Change:
    return intents.remove_instance(application, service, n % max(1, service.next_number))


STEPS: list[Callable[[Application, ServiceIntent, int], Change]] = [_add, _remove, intents.scale]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 8))))
def test_numbers_only_grow_and_are_never_used_twice(steps: list[tuple[Callable[..., Change], int]]) -> None:
    application, service = one(replicas=1)
    ever = set(service.slots)
    for step, number in steps:
        change = step(application, service, number)
        after = change.put_services[0] if change.put_services else service
        (result,) = change.results[0].services
        assert set(result.added).isdisjoint(ever) and set(result.removed) <= set(service.slots)
        assert set(after.slots) == (set(service.slots) | set(result.added)) - set(result.removed)
        assert list(after.slots) == sorted(set(after.slots)) and after.next_number >= service.next_number
        assert all(slot < after.next_number for slot in after.slots)
        assert after.spec is service.spec and after.spec_revision == service.spec_revision
        ever |= set(after.slots)
        service = after


@given(st.integers(0, 20), st.integers(0, 20))
def test_scaling_keeps_the_lowest_numbers(before: int, after: int) -> None:
    application, service = one(replicas=before)
    change = intents.scale(application, service, after)
    slots = change.put_services[0].slots if change.put_services else service.slots
    assert len(slots) == after and slots[: min(before, after)] == service.slots[: min(before, after)]
    assert change.is_empty == (before == after)


@given(st.lists(st.sampled_from(["web", "db", "cache"]), unique=True, min_size=1), st.integers(0, 3), st.booleans())
def test_applying_twice_changes_nothing_the_second_time(names: list[str], replicas: int, is_pruning: bool) -> None:
    application, services = stored(intents.create_applications(drafts("web", "queue", replicas=1), [], made()))
    wanted = drafts(*names, replicas=replicas)
    ids = iter(f"new{n}" for n in range(9))
    first = intents.apply(wanted, [application], services, Made("Admin", 1.0, lambda: next(ids)), is_pruning=is_pruning)
    by_id = {s.service_id: s for s in [*services, *first.put_services]}
    second = intents.apply(wanted, [application], list(by_id.values()), made(), is_pruning=is_pruning)
    assert second.is_empty
