"""What documents list is what the code has."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import cluster_orchestrator.settings
import net_manager.settings
import node_engine.settings
import root_orchestrator.settings
from edge_common.model.lifecycle import RANK, TRANSITIONS, WRITERS, State
from edge_common.wire import sla
from root_orchestrator.core.permissions import TABLE, Permission, Resource, Role, Scope, Verb

ROOT = Path(__file__).parents[2]
SETTINGS: list[Any] = [
    root_orchestrator.settings,
    cluster_orchestrator.settings,
    node_engine.settings,
    net_manager.settings,
]
SCHEMAS = [
    ("The document", sla.SlaSchema),
    ("An application", sla.ApplicationSchema),
    ("A microservice", sla.MicroserviceSchema),
    ("constraints", sla.ConstraintSchema),
    ("addresses", sla.AddressesSchema),
    ("secrets and configs *", sla.AttachmentSchema),
    ("restart *", sla.RestartSchema),
    ("probes *", sla.ProbesSchema),
    ("A probe *", sla.ProbeSchema),
    ("update *", sla.UpdateSchema),
]


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    text = (ROOT / document).read_text()
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert lines, f"{document} has no table below {heading!r}"
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


@pytest.mark.parametrize("module", SETTINGS, ids=lambda module: module.PREFIX)
def test_every_setting_is_documented_with_its_default(module: Any) -> None:
    tier = module.PREFIX.removeprefix("HEDGEROW_").removesuffix("_").title()
    table = rows("docs/configuration.md", f"{tier}: `{module.PREFIX}`")
    documented = {cells[0]: cells[1] for cells in table}
    assert documented == {
        module.PREFIX + field.name.upper(): _default(field.default) for field in fields(module.Settings)
    }


@pytest.mark.parametrize(("heading", "schema"), SCHEMAS, ids=lambda value: str(value))
def test_every_field_of_an_sla_is_documented(heading: str, schema: type[Any]) -> None:
    names = [name for cells in rows("docs/sla.md", heading) for name in cells[0].removesuffix("*").split(",")]
    known = {field.data_key or name for name, field in schema().fields.items()}
    assert sorted(name.strip() for name in names) == sorted(known)


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    names = {re.split(r"[<>=]", each)[0] for each in wanted}
    reasons = (ROOT / "docs/decisions/0002-dependencies.md").read_text()
    assert [name for name in sorted(names) if not re.search(rf"^\|[^|]*\b{name}\b", reasons, re.MULTILINE)] == []


def test_what_the_roles_may_do_is_documented() -> None:
    words = {Scope.OWN: "own", Scope.ORGANIZATION: "organisation", Scope.EVERYTHING: "all"}

    def cell(role: Role, resource: Resource) -> str:
        scopes = {verb: TABLE[role].get(Permission(verb, resource), Scope.NOTHING) for verb in Verb}
        by_scope = {scope: [verb for verb in Verb if scopes[verb] is scope] for scope in words}
        return "; ".join(f"{words[scope]}: {', '.join(verbs)}" for scope, verbs in by_scope.items() if verbs)

    documented = {cells[0]: cells[1:] for cells in rows("docs/people.md", "What the roles may do")}
    assert documented == {resource: [cell(role, resource) for role in Role] for resource in Resource}


def test_the_states_are_documented() -> None:
    table = rows("docs/lifecycle.md", "States")
    assert [(State(name), int(rank), writers) for name, rank, writers, _ in table] == [
        (state, RANK[state], ", ".join(tier for tier in ("root", "cluster", "node") if tier in WRITERS[state]))
        for state in State
    ]


def test_the_steps_are_documented() -> None:
    table = rows("docs/lifecycle.md", "Steps")
    documented = {State(before): frozenset(_states(after)) for before, after in table}
    assert documented == dict(TRANSITIONS)


@pytest.mark.parametrize(
    "document", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")), ids=lambda p: p.name
)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


def _default(value: object) -> str:
    if value is None:
        return "nothing"
    return str(value) if value not in ("", ()) else '""'


def _states(text: str) -> list[State]:
    return [] if text == "none" else [State(name.strip()) for name in text.split(",")]
