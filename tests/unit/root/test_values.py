"""Secrets and configuration objects: what the API takes and shows, who may use them, and what a new version does."""

import base64
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_common.model.errors import Broken, InvalidInput
from edge_common.model.ids import ServiceId
from edge_common.model.values import MAX_VALUE_BYTES
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.plumbing.sealing import SealingKey
from root_orchestrator.adapters.value_store import DocumentValueStore
from root_orchestrator.core.permissions import Role
from root_orchestrator.core.stored_values import checked_size
from tests.unit.root.world import ALICE, Client, World, microservice, sla

VALUE = "correct horse battery staple"
NODE = SealingKey(bytes(32))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def alice(world: World) -> Client:
    client = world.client(ALICE)
    client.post("/api/secrets", {"name": "db-password", "value": VALUE})
    client.post("/api/configs", {"name": "site", "value": "greeting = hello"})
    return client


def bobs(world: World) -> Client:
    bob = replace(ALICE, username="bob")
    world.store.put_user(bob)
    return world.client(bob)


def deployed(client: Client, **changes: Any) -> str:
    answer = client.put("/api/apply", sla(microservice(**changes)))
    return str(answer["applications"][0]["services"][0]["microserviceID"])


USES = {
    "secrets": [{"name": "db-password", "env": "DB_PASSWORD"}, {"name": "db-password", "path": "/run/secrets/db"}],
    "configs": [{"name": "site", "path": "/etc/site.conf", "mode": "0440", "uid": 7}],
    "registry_secret": "db-password",
}


class TestShowing:
    def test_a_secret_is_shown_without_its_value(self, alice: Client) -> None:
        shown = alice.get("/api/secrets/db-password")
        assert shown["version"] == 1 and shown["size_bytes"] == len(VALUE) and shown["used_by"] == []
        for path in ("/api/secrets", "/api/secrets/db-password", f"/api/secrets/{shown['id']}"):
            text = json.dumps(alice.get(path))
            assert VALUE not in text and "locked" not in text
            assert base64.b64encode(VALUE.encode()).decode() not in text

    def test_a_configuration_object_is_readable(self, alice: Client) -> None:
        assert alice.get("/api/configs/site")["value"] == "greeting = hello"
        alice.put("/api/configs/site", {"value_base64": base64.b64encode(b"\xff\x00").decode()})
        shown = alice.get("/api/configs/site")
        assert base64.b64decode(shown["value_base64"]) == b"\xff\x00" and "value" not in shown

    def test_the_database_has_no_value(self, world: World, alice: Client) -> None:
        alice.get("/api/secrets")
        kept = json.dumps([world.documents.find(each) for each in ("secrets", "configs")])
        for value in (VALUE, "greeting"):
            assert value not in kept and base64.b64encode(value.encode()).decode()[:8] not in kept

    def test_nothing_is_logged(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        client = world.client(ALICE)
        client.post("/api/secrets", {"name": "x", "value": VALUE})
        client.put("/api/secrets/x", {"value": VALUE + "!"})
        client.post("/api/secrets", {"name": "y", "value": VALUE, "unknown": 1}, status=400)
        client.post("/api/secrets", {"name": "y", "value_base64": VALUE}, status=400)
        client.post("/api/secrets", {"name": "y", "value": VALUE, "value_base64": VALUE}, status=400)
        assert VALUE not in caplog.text

    def test_it_belongs_to_who_made_it(self, world: World, alice: Client) -> None:
        shown = alice.get("/api/secrets/db-password")
        bob = bobs(world)
        assert bob.get("/api/secrets") == []
        for name in ("db-password", shown["id"]):
            bob.get(f"/api/secrets/{name}", status=404)
            bob.put(f"/api/secrets/{name}", {"value": "x"}, status=404)
            bob.delete(f"/api/secrets/{name}", status=404)
        bob.post("/api/secrets", {"name": "db-password", "value": "his"})
        assert world.client().get("/api/secrets")[0]["name"] == "db-password"

    def test_an_organisation_shares_what_roles_allow(self, world: World, alice: Client) -> None:
        secret, config = alice.get("/api/secrets")[0]["id"], alice.get("/api/configs")[0]["id"]
        people = {
            role: replace(ALICE, username=role.lower(), roles=(role,))
            for role in (Role.VIEWER, Role.ORGANIZATION_ADMIN)
        }
        stranger = replace(people[Role.ORGANIZATION_ADMIN], username="stranger", organization="elsewhere")
        operator = replace(ALICE, username="operator", roles=(Role.INFRASTRUCTURE_PROVIDER,))
        for user in (*people.values(), stranger, operator):
            world.store.put_user(user)
        viewer, admin = (world.client(people[role]) for role in (Role.VIEWER, Role.ORGANIZATION_ADMIN))
        assert viewer.get(f"/api/configs/{config}")["value"] == "greeting = hello"
        assert "value" not in viewer.get(f"/api/secrets/{secret}")
        viewer.put(f"/api/secrets/{secret}", {"value": "x"}, status=403)
        viewer.post("/api/secrets", {"name": "x", "value": "x"}, status=403)
        assert admin.put(f"/api/secrets/{secret}", {"value": "rotated"})["version"] == 2
        assert world.client(stranger).get("/api/secrets") == []
        world.client(stranger).get(f"/api/configs/{config}", status=404)
        world.client(operator).get("/api/secrets", status=403)

    def test_a_list_reads_nothing_of_other_organisations(self, world: World, alice: Client) -> None:
        """What cannot be read at all shows whether it was looked at."""
        world.documents.put("secrets", {"_id": "x", "organization": "other", "owner": "zoe", "name": "pin"})
        viewer = replace(ALICE, username="vera", roles=(Role.VIEWER,))
        world.store.put_user(viewer)
        assert [each["name"] for each in world.client(viewer).get("/api/secrets")] == ["db-password"]

    def test_who_gets_the_name_next_does_not_get_the_secrets(self, world: World, alice: Client) -> None:
        answer = world.client().delete("/api/user/alice", status=409)
        assert "alice still owns 2 secrets and configuration objects" in answer["message"]
        alice.delete("/api/secrets/db-password")
        alice.delete("/api/configs/site")
        world.client().delete("/api/user/alice")


class TestMaking:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"name": "a b", "value": "x"}, "name"),
            ({"name": "-a", "value": "x"}, "name"),
            ({"name": "a", "value": ""}, "value"),
            ({"name": "a"}, "value"),
            ({"name": "a", "value": "x", "value_base64": "eA=="}, "value"),
            ({"name": "a", "value_base64": "!"}, "value_base64"),
        ],
    )
    def test_a_mistake_is_named(self, world: World, body: dict[str, str], field: str) -> None:
        assert world.client(ALICE).post("/api/secrets", body, status=400)["field"] == field

    @pytest.mark.parametrize("size", [0, MAX_VALUE_BYTES + 1])
    def test_its_size_has_bounds(self, size: int) -> None:
        with pytest.raises(InvalidInput, match=f"this has {size}"):
            checked_size(bytes(size))

    def test_a_name_is_taken_once(self, alice: Client) -> None:
        answer = alice.post("/api/secrets", {"name": "db-password", "value": "x"}, status=409)
        assert "you already have a secret db-password" in answer["message"]


class TestUse:
    def test_a_spec_names_the_present_versions(self, world: World, alice: Client) -> None:
        service_id = deployed(alice, **USES)
        service = world.store.service(ServiceId(service_id))
        assert service is not None
        assert [
            (str(each.ref), each.variable, each.path, each.mode, each.uid) for each in service.spec.attachments
        ] == [
            ("secret db-password version 1", "DB_PASSWORD", "", 0o400, None),
            ("secret db-password version 1", "", "/run/secrets/db", 0o400, None),
            ("config site version 1", "", "/etc/site.conf", 0o440, 7),
        ]
        assert len(service.spec.values) == 2
        assert alice.get("/api/secrets/db-password")["used_by"][0]["microserviceID"] == service_id

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"secrets": [{"name": "other", "env": "A"}]}, "secrets[0].name"),
            ({"configs": [{"name": "db-password", "env": "A"}]}, "configs[0].name"),
            ({"registry_secret": "site"}, "registry_secret"),
            ({"secrets": [{"name": "db-password"}]}, "secrets[0]"),
            ({"secrets": [{"name": "db-password", "env": "A", "path": "/a"}]}, "secrets[0]"),
            ({"secrets": [{"name": "db-password", "env": "A B"}]}, "secrets[0].env"),
            ({"secrets": [{"name": "db-password", "env": "HOSTNAME"}]}, "secrets[0].env"),
            ({"secrets": [{"name": "db-password", "env": "A", "mode": "0400"}]}, "secrets[0].mode"),
            ({"secrets": [{"name": "db-password", "env": "A", "uid": 0}]}, "secrets[0].uid"),
            ({"secrets": [{"name": "db-password", "path": "/a", "mode": "0999"}]}, "secrets[0].mode"),
            ({"secrets": [{"name": "db-password", "path": "a"}]}, "secrets[0].path"),
            ({"secrets": [{"name": "db-password", "path": "/a/../b"}]}, "secrets[0].path"),
            ({"secrets": [{"name": "db-password", "path": "/a/"}]}, "secrets[0].path"),
            ({"secrets": [{"name": "db-password", "path": "/proc/x"}]}, "secrets[0].path"),
            ({"secrets": [{"name": "db-password", "path": "/"}]}, "secrets[0].path"),
            (
                {"secrets": [{"name": "db-password", "path": "/a"}], "configs": [{"name": "site", "path": "/a/b"}]},
                "configs[0].path",
            ),
            ({"secrets": [{"name": "db-password", "path": "/a"}] * 2}, "secrets[1].path"),
            ({"secrets": [{"name": "db-password", "env": "A"}] * 2}, "secrets[1].env"),
            ({"environment": ["A=1"], "secrets": [{"name": "db-password", "env": "A"}]}, "secrets[0].env"),
        ],
    )
    def test_what_cannot_be_is_refused_by_its_path(self, alice: Client, changes: Any, field: str) -> None:
        answer = alice.put("/api/apply", sla(microservice(**changes)), status=400)
        assert answer["field"] == f"applications[0].microservices[0].{field}"

    def test_the_example_is_one(self, alice: Client) -> None:
        example = yaml.safe_load((Path(__file__).parents[3] / "examples/secret/secret.yaml").read_text())
        alice.put("/api/apply", example, status=400)
        alice.post("/api/secrets", {"name": "web-password", "value": VALUE})
        alice.post("/api/configs", {"name": "web-page", "value": "<p>Hello"})
        alice.put("/api/apply", example)

    def test_nobody_uses_what_is_anothers(self, world: World, alice: Client) -> None:
        bob = bobs(world)
        answer = bob.put("/api/apply", sla(microservice(**USES)), status=400)
        assert "has no secret db-password" in answer["message"]

    def test_an_admin_who_changes_a_service_uses_its_owners(self, world: World, alice: Client) -> None:
        service_id = deployed(alice)
        world.client().put(f"/api/service/{service_id}", microservice(**USES))
        service = world.store.service(ServiceId(service_id))
        assert service is not None and len(service.spec.values) == 2

    def test_what_is_used_is_not_deleted(self, alice: Client) -> None:
        service_id = deployed(alice, **USES)
        answer = alice.delete("/api/secrets/db-password", status=409)
        assert "is used by shop.test.web.test" in answer["message"]
        alice.delete(f"/api/service/{service_id}")
        alice.delete("/api/secrets/db-password")
        alice.get("/api/secrets/db-password", status=404)


class TestRotation:
    def test_a_new_version_is_a_new_spec(self, world: World, alice: Client) -> None:
        service_id = deployed(alice, **USES)
        world.nudges.heard.clear()
        answer = alice.put("/api/secrets/db-password", {"value": "another"})
        assert answer["version"] == 2 and answer["rolled"] == [
            {"microserviceID": service_id, "job_name": "shop.test.web.test"}
        ]
        service = world.store.service(ServiceId(service_id))
        assert service is not None and service.spec_revision == 2
        assert [ref.version for ref in service.spec.values] == [2, 1]
        assert world.nudges.heard == [service_id]

    def test_the_same_value_changes_nothing(self, world: World, alice: Client) -> None:
        service_id = deployed(alice, **USES)
        answer = alice.put("/api/secrets/db-password", {"value": VALUE})
        assert answer["version"] == 1 and answer["rolled"] == []
        assert deployed(alice, **USES) == service_id
        service = world.store.service(ServiceId(service_id))
        assert service is not None and service.spec_revision == 1

    def test_who_was_left_behind_follows(self, world: World, alice: Client) -> None:
        """As after a crash between the two writes of a database without transactions."""
        service_id = ServiceId(deployed(alice, **USES))
        before = world.store.service(service_id)
        alice.put("/api/secrets/db-password", {"value": "newer"})
        after = world.store.service(service_id)
        assert before is not None and after is not None
        world.store.write(put_services=[replace(before, version=after.version)])
        answer = alice.put("/api/secrets/db-password", {"value": "newer"})
        assert answer["version"] == 2 and len(answer["rolled"]) == 1
        service = world.store.service(service_id)
        assert service is not None and service.spec.values[0].version == 2


class TestSealing:
    def test_a_cluster_gets_what_the_spec_names_and_no_more(self, world: World, alice: Client) -> None:
        alice.post("/api/secrets", {"name": "unused", "value": "x"})
        service = world.store.service(ServiceId(deployed(alice, **USES)))
        assert service is not None
        sealed = world.values.sealed([service.spec], NODE.public)
        assert sealed == world.values.sealed([service.spec], NODE.public)
        opened = [NODE.open(each.box, f"{each.value_id}/{each.version}") for each in sealed]
        assert opened == [VALUE.encode(), b"greeting = hello"]
        assert world.values.sealed([service.spec], "") == ()

    def test_an_older_version_is_not_there_any_more(self, world: World, alice: Client) -> None:
        service = world.store.service(ServiceId(deployed(alice, **USES)))
        alice.put("/api/secrets/db-password", {"value": "another"})
        assert service is not None
        assert [each.version for each in world.values.sealed([service.spec], NODE.public)] == [1]


class TestKeyFile:
    def test_another_key_is_refused(self, tmp_path: Path) -> None:
        store = DocumentValueStore(MemoryDocuments())
        first = store.open_vault(tmp_path / "secrets.key")
        assert store.open_vault(tmp_path / "secrets.key").key_id == first.key_id
        (tmp_path / "secrets.key").unlink()
        with pytest.raises(Broken, match="is missing"):
            store.open_vault(tmp_path / "secrets.key")
        assert not (tmp_path / "secrets.key").exists()
        (tmp_path / "secrets.key").write_text(base64.b64encode(bytes(32)).decode())
        with pytest.raises(Broken, match="Put the right key file back"):
            store.open_vault(tmp_path / "secrets.key")
