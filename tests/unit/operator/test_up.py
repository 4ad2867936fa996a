"""What `hedgerow up` does once all parts run."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from edge_common.model.errors import Unauthenticated
from hedgerow.cli.machine import logged_in
from hedgerow.cli.session import Session, load, save
from hedgerow.machine.files import write_if_changed
from hedgerow.machine.layout import Layout, find_layout
from tests.unit.operator.fake_root import FakeRoot, fake_root


@pytest.fixture
def root() -> Iterator[FakeRoot]:
    with fake_root() as running:
        running.on("GET /api/clusters", [])
        yield running


@pytest.fixture
def layout(root: FakeRoot, tmp_path: Path) -> Layout:
    layout = find_layout({"HEDGEROW_HOME": str(tmp_path)}, api=urlsplit(root.url).port)
    write_if_changed(layout.admin_password_file, "made-at-first\n")
    return layout


def test_a_session_that_counts_is_kept(root: FakeRoot, layout: Layout) -> None:
    save(layout.session, Session(root.url, "good", "ada"))
    assert logged_in(layout, {}).username == "ada"
    assert root.asked("POST /api/auth/login") == []


def test_without_one_the_password_of_the_first_start_is_used(root: FakeRoot, layout: Layout) -> None:
    root.on("POST /api/auth/login", {"token": "t", "refresh_token": "r"})
    assert logged_in(layout, {}).username == "Admin"
    (asked,) = root.asked("POST /api/auth/login")
    assert asked.body == {"username": "Admin", "password": "made-at-first"}
    assert load(layout.session) == Session(root.url, "t", "Admin", "r")


def test_a_password_that_was_changed_since_has_to_be_typed(root: FakeRoot, layout: Layout) -> None:
    root.on("POST /api/auth/login", {"message": "The username or the password is wrong."}, status=401)
    with pytest.raises(Unauthenticated, match=r"All parts run.*hedgerow login"):
        logged_in(layout, {})
