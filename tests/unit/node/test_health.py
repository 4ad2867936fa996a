from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.lifecycle import Health
from edge_common.model.probes import Probe, ProbeKind, ProbeRole, Probes
from node_engine.core.health import Answer, Checked, adopted, asked, began, due, heard, wake_s

WELL = Answer(True)
BAD = Answer(False, "connection refused")
TCP = Probe(ProbeKind.TCP, 80, interval_s=5.0, failures=3)


def live(checked: Checked, seconds: float, say: Callable[[ProbeRole, float], Answer]) -> tuple[Checked, str, float]:
    """Answer each question at once until `seconds`; the first reason to restart ends it."""
    now_s = 0.0
    while (next_s := wake_s(checked)) is not None and next_s <= seconds:
        now_s = next_s
        for role in due(checked, now_s):
            checked, why = heard(asked(checked, role), role, say(role, now_s), now_s)
            if why:
                return checked, why, now_s
    return checked, "", now_s


def test_without_probes_it_is_healthy_and_nothing_is_asked() -> None:
    checked = began(Probes(), 0.0)
    assert checked.health is Health.HEALTHY
    assert wake_s(checked) is None


def test_a_quick_start_is_seen_long_before_the_first_interval() -> None:
    checked, why, _ = live(began(Probes(readiness=TCP), 0.0), 0.5, lambda _, now_s: WELL if now_s > 0.2 else BAD)
    assert (checked.health, why) == (Health.HEALTHY, "")


def test_startup_holds_the_others_back() -> None:
    probes = Probes(startup=TCP, readiness=TCP, liveness=TCP)
    roles: list[ProbeRole] = []

    def say(role: ProbeRole, now_s: float) -> Answer:
        roles.append(role)
        return WELL if now_s > 4.0 else BAD

    checked, why, _ = live(began(probes, 0.0), 20.0, say)
    assert why == ""
    assert checked.health is Health.HEALTHY
    first = roles.index(ProbeRole.READINESS)
    assert set(roles[:first]) == {ProbeRole.STARTUP}
    assert ProbeRole.STARTUP not in roles[first:]


def test_a_start_that_takes_too_long_is_a_restart_counted_in_intervals() -> None:
    checked, why, now_s = live(began(Probes(startup=TCP), 0.0), 60.0, lambda *_: BAD)
    assert checked.health is Health.STARTING
    assert why == "its startup probe failed 3 times in a row (connection refused)"
    assert 2 * TCP.interval_s <= now_s <= 4 * TCP.interval_s


def test_readiness_takes_traffic_away_and_gives_it_back_but_restarts_nothing() -> None:
    checked, why, _ = live(began(Probes(readiness=TCP), 0.0), 60.0, lambda _, now_s: WELL if now_s < 20.0 else BAD)
    assert (checked.health, why, checked.detail) == (Health.UNHEALTHY, "", "connection refused")
    checked, _, _ = live(checked, 120.0, lambda *_: WELL)
    assert (checked.health, checked.detail) == (Health.HEALTHY, "")


def test_one_failure_between_successes_changes_nothing() -> None:
    seen: list[Health] = []
    checked = began(Probes(readiness=TCP, liveness=TCP), 0.0)
    for step in range(40):
        now_s = float(step) * 5.0 + 1.0
        for role in due(checked, now_s):
            checked, why = heard(asked(checked, role), role, BAD if step % 3 == 2 else WELL, now_s)
            assert why == ""
        seen.append(checked.health)
    assert set(seen) == {Health.HEALTHY}


def test_what_is_wrong_stands_while_another_probe_is_well() -> None:
    """Each change of it is written and reported, so it must not come and go with every answer."""
    said: list[str] = []

    def say(role: ProbeRole, _: float) -> Answer:
        return BAD if role is ProbeRole.READINESS else WELL

    checked = began(Probes(readiness=TCP, liveness=TCP), 0.0)
    for step in range(10):
        now_s = float(step) * 5.0 + 1.0
        for role in due(checked, now_s):
            checked, _ = heard(asked(checked, role), role, say(role, now_s), now_s)
            said.append(checked.detail)
    assert set(said) == {BAD.detail}


def test_never_ready_in_time_is_unhealthy_and_liveness_goes_on() -> None:
    checked, why, _ = live(
        began(Probes(readiness=TCP, liveness=TCP), 0.0),
        60.0,
        lambda role, _: BAD if role is ProbeRole.READINESS else WELL,
    )
    assert (checked.health, why) == (Health.UNHEALTHY, "")


def test_adoption_keeps_what_was_found() -> None:
    probes = Probes(startup=TCP, readiness=TCP)
    assert adopted(probes, Health.UNHEALTHY, 0.0).health is Health.UNHEALTHY
    assert adopted(probes, Health.HEALTHY, 0.0).health is Health.HEALTHY
    assert adopted(probes, Health.STARTING, 0.0) == began(probes, 0.0)
    assert adopted(Probes(liveness=TCP), Health.UNHEALTHY, 0.0).health is Health.HEALTHY


def test_the_answer_of_a_probe_that_is_over_counts_nothing() -> None:
    checked = began(Probes(readiness=TCP), 0.0)
    assert heard(checked, ProbeRole.STARTUP, BAD, 1.0) == (checked, "")


@given(st.lists(st.booleans(), max_size=80), st.integers(1, 4), st.integers(1, 4))
def test_health_is_what_the_last_full_row_of_answers_says(answers: list[bool], failures: int, successes: int) -> None:
    probe = Probe(ProbeKind.TCP, 80, interval_s=1.0, failures=failures, successes=successes)
    checked, expected = began(Probes(readiness=probe), 0.0), Health.STARTING
    row: list[bool] = []
    for step, is_well in enumerate(answers):
        checked, why = heard(asked(checked, ProbeRole.READINESS), ProbeRole.READINESS, Answer(is_well), float(step))
        row = [*row, is_well] if row and row[-1] is is_well else [is_well]
        if is_well and len(row) >= successes:
            expected = Health.HEALTHY
        if not is_well and len(row) >= failures:
            expected = Health.UNHEALTHY
        assert (checked.health, why) == (expected, "")
