"""One whole system for each store, shared by the tests of this directory: a start and a stop cost ten seconds."""

from collections.abc import Generator, Iterator

import pytest

from tests.e2e.store import STORES, Running, stack_on
from tests.parts.many_hosts import ManyHosts
from tests.parts.stack import Stack
from tests.support import eventually


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails on many hosts also shows what their programs wrote last."""
    report = yield
    hosts = getattr(item, "funcargs", {}).get("hosts")
    if report.failed and isinstance(hosts, ManyHosts):
        report.sections.append(("the hosts' logs", hosts.log_tails()))
    return report


@pytest.fixture(scope="session", params=STORES)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    with stack_on(request.param) as found:
        yield found


@pytest.fixture
def system(running: Running) -> Iterator[Stack]:
    """Somebody is logged in, and no application is there, before and after."""
    running.stack.login()
    remove_all(running.stack)
    yield running.stack
    running.stack.login()
    remove_all(running.stack)


def remove_all(stack: Stack) -> None:
    for application in stack.api.request("GET", "/api/applications"):
        stack.api.request("DELETE", f"/api/application/{application['applicationID']}")
    eventually(lambda: not stack.services() and not stack.containers(), timeout_s=60, message="nothing left")
