"""The API through Flask's own client: what oak-cli reads, who may do what, and how mistakes are answered."""

import logging
from typing import Any

import pytest

from edge_common.model.errors import Unreachable
from edge_common.model.lifecycle import Reason, State
from edge_common.model.node import Readiness
from tests.unit.root.world import ADMIN, ALICE, World, microservice, sla

PUBLIC = {
    ("GET", "/api/health"),
    ("POST", "/api/auth/login"),
    ("GET", "/docs/openapi.json"),
    ("GET", "/api/docs/"),
    ("GET", "/api/docs/<path:path>"),
}
"""Refresh is public to the token check and wants its own kind of token; it answers 401 without one all the same."""


@pytest.fixture
def world() -> World:
    return World()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def created(world: World, **changes: Any) -> str:
    applications = world.client().post("/api/application", sla(microservice(**changes)))
    return str(applications[0]["microservices"][0])


def test_no_route_answers_without_a_token_but_the_public_ones(world: World) -> None:
    client = world.client(None)
    checked = 0
    for rule in world.app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if (method, rule.rule) in PUBLIC:
                continue
            path = rule.rule
            for argument in rule.arguments:
                path = path.replace(f"<{argument}>", "x").replace(f"<int:{argument}>", "1")
                path = path.replace(f"<int(signed=True):{argument}>", "1")
            answer = client.call(method, path, status=401)
            assert answer["code"] == 401 and "log in" in answer["message"], path
            checked += 1
    assert checked >= 30


def test_the_public_routes_answer(world: World) -> None:
    client = world.client(None)
    assert client.get("/api/health")["status"] == "ok"
    document = client.get("/docs/openapi.json")
    assert "Sla" in document["components"]["schemas"]
    assert document["paths"]["/api/service/{service_id}/instance/{number}"]["delete"]["security"] == [{"bearer": []}]
    page = world.app.test_client().get("/api/docs")
    assert page.status_code == 200 and b"swagger-ui-bundle.js" in page.data and b"//cdn" not in page.data
    with world.app.test_client().get("/api/docs/swagger-ui-bundle.js") as script:
        assert script.status_code == 200 and len(script.data) > 100_000


def test_login_gives_tokens_that_work_until_they_expire(world: World) -> None:
    nobody = world.client(None)
    answer = nobody.post("/api/auth/login", {"username": "Admin", "password": "Admin", "organization_name": "root"})
    bearer = {"Authorization": f"Bearer {answer['token']}"}
    nobody.get("/api/applications", headers=bearer)
    refreshed = nobody.post("/api/auth/refresh", headers={"Authorization": f"Bearer {answer['refresh_token']}"})
    assert set(refreshed) == {"token", "refresh_token"}
    nobody.get("/api/applications", headers={"Authorization": f"Bearer {answer['refresh_token']}"}, status=401)
    nobody.post("/api/auth/refresh", headers=bearer, status=401)
    world.clock.advance(600)
    assert "expired" in nobody.get("/api/applications", headers=bearer, status=401)["message"]


@pytest.mark.parametrize(
    "token", ["", "nonsense", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJBZG1pbiJ9.", "a.b.c", "\N{SNOWMAN}".encode().hex()]
)
def test_a_token_that_is_not_ours_is_refused(world: World, token: str) -> None:
    world.client(None).get("/api/applications", headers={"Authorization": f"Bearer {token}"}, status=401)


def test_a_changed_password_ends_the_old_tokens(world: World) -> None:
    alice = world.client(ALICE)
    wrong = alice.post("/api/user/alice", {"oldPassword": "wrong", "newPassword": "another-secret"}, status=400)
    assert wrong["field"] == "oldPassword", "401 would say that the token is no good, and make clients renew it"
    short = alice.post("/api/user/alice", {"oldPassword": "alices-secret", "newPassword": "x"}, status=400)
    assert short["field"] == "newPassword"
    alice.post("/api/user/alice", {"oldPassword": "alices-secret", "newPassword": "another-secret"})
    alice.get("/api/applications", status=401)
    world.client(None).post("/api/auth/login", {"username": "alice", "password": "another-secret"})


def test_guessing_passwords_is_slowed_down_for_one_name_and_address() -> None:
    world = World(limiter_failures=3)
    nobody = world.client(None)
    for _ in range(3):
        nobody.post("/api/auth/login", {"username": "Admin", "password": "guess"}, status=401)
    nobody.post("/api/auth/login", {"username": "Admin", "password": "Admin"}, status=429)
    nobody.post("/api/auth/login", {"username": "alice", "password": "alices-secret"})
    world.clock.advance(61)
    nobody.post("/api/auth/login", {"username": "Admin", "password": "Admin"})


def test_wrong_name_and_wrong_password_are_told_alike(world: World, caplog: pytest.LogCaptureFixture) -> None:
    nobody = world.client(None)
    one = nobody.post("/api/auth/login", {"username": "Admin", "password": "guess"}, status=401)
    other = nobody.post("/api/auth/login", {"username": "nobody", "password": "guess"}, status=401)
    assert one == other
    assert "event=login_refused user='Admin' address=127.0.0.1" in caplog.text
    assert "guess" not in caplog.text


def test_an_admin_manages_users_and_others_do_not(world: World) -> None:
    admin, alice = world.client(), world.client(ALICE)
    alice.post("/api/auth/register", {"username": "bob", "password": "bobs-secret"}, status=403)
    made = admin.post("/api/auth/register", {"username": "bob", "password": "bobs-secret", "email": "b@example.org"})
    assert made["roles"] == ["Application_Provider"] and "password_hash" not in made
    admin.post("/api/auth/register", {"username": "bob", "password": "bobs-secret"}, status=409)
    admin.post("/api/auth/register", {"username": "b b", "password": "bobs-secret"}, status=400)
    bad_role = {"username": "carl", "password": "carls-secret", "roles": ["King"]}
    assert admin.post("/api/auth/register", bad_role, status=400)["field"] == "roles[0]"
    assert [user["username"] for user in admin.get("/api/users/")] == ["Admin", "alice", "bob"]
    assert [user["username"] for user in alice.get("/api/users/")] == ["alice"]
    assert alice.get("/api/user/bob", status=404) == alice.get("/api/user/nobody", status=404) | {
        "message": "There is no user bob."
    }
    assert alice.get("/api/permission/alice")["roles"] == ["Application_Provider"]
    alice.put("/api/user/alice", {"roles": ["Admin"]}, status=403)
    assert alice.put("/api/user/alice", {"email": "new@example.org"})["email"] == "new@example.org"
    admin.put("/api/user/bob", {"roles": ["Admin"], "password": "bobs-new-secret"})
    admin.delete("/api/user/bob")
    admin.get("/api/user/bob", status=404)
    assert "last Admin" in admin.delete("/api/user/Admin", status=409)["message"]
    assert "last Admin" in admin.put("/api/user/Admin", {"roles": []}, status=409)["message"]


def test_what_oak_cli_reads_of_an_application(world: World) -> None:
    answer = world.client().post("/api/application", sla())
    assert isinstance(answer, list)
    (application,) = world.client().get("/api/applications")
    assert application == answer[0]
    assert application["application_name"] == "shop"
    assert application["application_namespace"] == "test"
    assert application["application_desc"] == "A shop"
    assert application["userId"] == "Admin"
    assert application["_id"] == {"$oid": application["applicationID"]}
    assert len(application["microservices"]) == 1
    assert world.client().get(f"/api/application/{application['applicationID']}") == application


def test_what_oak_cli_reads_of_a_service(world: World) -> None:
    service_id = created(world)
    (service,) = world.client().get("/api/services/")
    assert service["microserviceID"] == service_id
    assert service["microservice_name"] == "web" and service["app_name"] == "shop"
    assert service["job_name"] == "shop.test.web.test"
    assert service["image"] == "docker.io/library/busybox:1.36" and service["cmd"] == ["httpd", "-f"]
    assert service["status"] == "" and service["instance_list"] == []
    assert world.client().get(f"/api/services/{service['applicationID']}") == [service]
    answer = world.client().post(f"/api/service/{service_id}/instance")
    assert answer["instance_number"] == 0
    shown = world.client().get(f"/api/service/{service_id}")
    (instance,) = shown["instance_list"]
    assert shown["status"] == instance["status"] == "REQUESTED"
    assert instance["instance_number"] == 0 and instance["publicip"] == "" and instance["cluster_id"] == ""
    assert instance["logs"] == "" and instance["cpu_history"] == [] and instance["memory_history"] == []


def test_a_running_instance_shows_where_it_is_and_what_it_wrote(world: World) -> None:
    service_id = created(world, replicas=1)
    world.add_cluster()
    world.hear(world.place(service_id), State.RUNNING)
    world.requests.answers["logs"] = {"text": "x" * 2000 + "\nready\n", "cursor": 7}
    world.clock.advance(5)
    service = world.client().get(f"/api/service/{service_id}")
    (instance,) = service["instance_list"]
    assert service["status"] == "RUNNING" and service["age_s"] == 5.0
    assert instance["publicip"] == "192.0.2.7" and instance["cluster_id"] == "c1"
    assert instance["cluster_name"] == "home" and instance["node_name"] == "node-1"
    assert instance["logs"].endswith("ready\n") and len(instance["logs"]) == 1024
    world.requests.asked.clear()
    assert world.client().get(f"/api/service/{service_id}?logs=false")["instance_list"][0]["logs"] == ""
    world.client().get("/api/services")
    assert world.requests.asked == []


def test_a_service_is_shown_without_output_when_its_cluster_is_silent(world: World) -> None:
    service_id = created(world, replicas=2)
    world.add_cluster(Readiness.SUSPECT)
    for number in range(2):
        world.hear(world.place(service_id, number), State.RUNNING)
    service = world.client().get(f"/api/service/{service_id}")
    assert [i["logs"] for i in service["instance_list"]] == ["", ""]
    assert "Cluster home is suspect" in service["status_detail"]
    assert len(world.requests.asked) == 1


def test_a_refused_placement_says_so_in_oakestras_words(world: World) -> None:
    service_id = created(world, replicas=1, memory=10 * 1024 * 1024)
    detail = "No cluster has 10485760 MiB of memory free."
    world.place(service_id, child_id="", reason=Reason.NO_CAPACITY, detail=detail)
    service = world.client().get(f"/api/service/{service_id}")
    assert service["status"] == "NoActiveClusterWithCapacity"
    assert service["reason"] == "NO_CAPACITY" and service["status_detail"] == detail


def test_logs_go_on_from_a_cursor(world: World) -> None:
    service_id = created(world, replicas=1)
    world.client().get(f"/api/service/{service_id}/instance/0/logs", status=404)
    world.hear(world.place(service_id), State.RUNNING)
    world.requests.answers["logs"] = {"text": "hello\n", "cursor": 6}
    answer = world.client().get(f"/api/service/{service_id}/instance/0/logs?tail=5&cursor=0")
    assert answer == {"text": "hello\n", "cursor": 6}
    cluster_id, _, body = world.requests.asked[-1]
    assert cluster_id == "c1" and body["tail"] == 5 and body["cursor"] == 0 and body["service_id"] == service_id
    world.client().get(f"/api/service/{service_id}/instance/0/logs?tail=x", status=400)
    world.client().get(f"/api/service/{service_id}/instance/7/logs", status=404)
    world.requests.answers["logs"] = Unreachable("Node n1 does not answer.")
    answer = world.client().get(f"/api/service/{service_id}/instance/0/logs", status=504)
    assert answer["message"] == "Node n1 does not answer."


def test_what_oak_cli_reads_of_a_cluster(world: World) -> None:
    world.add_cluster()
    (cluster,) = world.client().get("/api/clusters/")
    assert world.client().get("/api/clusters/active") == [cluster]
    assert world.client().get("/api/clusters/home") == world.client().get("/api/clusters/c1") == cluster
    assert cluster["cluster_name"] == "home" and cluster["cluster_location"] == "48.1,11.5,1000"
    assert cluster["active"] is True and cluster["active_nodes"] == 1
    assert cluster["virtualization"] == ["container"] and cluster["supported_addons"] == []
    assert cluster["aggregated_cpu_percent"] == 12.5 and cluster["memory_in_mb"] == 1024
    assert cluster["total_cpu_cores"] == 4.0 and cluster["total_gpu_cores"] == 0
    assert cluster["ip"] == "192.0.2.1" and cluster["port"] == 10100
    assert cluster["last_modified_timestamp"] == world.clock.now_s()


def test_a_lost_cluster_is_not_active(world: World) -> None:
    world.add_cluster(Readiness.LOST)
    assert world.client().get("/api/clusters/active") == []
    assert world.client().get("/api/clusters")[0]["active"] is False


def test_nodes_are_asked_of_their_clusters(world: World) -> None:
    world.add_cluster()
    assert world.client().get("/api/nodes") == {
        "nodes": [],
        "unreachable": [{"cluster_id": "c1", "cluster_name": "home", "message": "The cluster does not answer."}],
    }
    world.requests.answers["nodes"] = {"nodes": [{"node_id": "n1", "node_name": "node-1"}]}
    node = {"node_id": "n1", "node_name": "node-1", "cluster_id": "c1", "cluster_name": "home"}
    assert world.client().get("/api/nodes")["nodes"] == [node]
    assert world.client().get("/api/clusters/home/nodes") == [node]
    assert world.client().get("/api/clusters/c1/nodes/node-1") == node
    world.client().get("/api/clusters/c1/nodes/other", status=404)
    world.client().get("/api/clusters/other/nodes", status=404)


def test_an_operator_cordons_a_node(world: World) -> None:
    world.add_cluster()
    world.requests.answers["cordon"] = {"node": {"node_id": "n1", "is_cordoned": True}}
    answer = world.client().put("/api/clusters/c1/nodes/n1/cordon", {"cordoned": True})
    assert answer["is_cordoned"] is True
    assert world.requests.asked[-1] == ("c1", "cordon", {"node": "n1", "is_cordoned": True})
    world.client(ALICE).put("/api/clusters/c1/nodes/n1/cordon", {"cordoned": True}, status=403)
    answer = world.client().put("/api/clusters/c1/nodes/n1/cordon", {"cordoned": "yes"}, status=400)
    assert answer["field"] == "cordoned"


def test_users_see_and_change_only_what_is_theirs(world: World) -> None:
    service_id = created(world, replicas=1)
    (application,) = world.client().get("/api/applications")
    alice = world.client(ALICE)
    assert alice.get("/api/applications") == [] and alice.get("/api/services") == []
    assert alice.get("/api/applications/Admin") == alice.get("/api/applications/nobody") == []
    for method, path, body in (
        ("GET", f"/api/application/{application['applicationID']}", None),
        ("PUT", f"/api/application/{application['applicationID']}", {"application_desc": "mine"}),
        ("DELETE", f"/api/application/{application['applicationID']}", None),
        ("GET", f"/api/services/{application['applicationID']}", None),
        ("GET", f"/api/service/{service_id}", None),
        ("PUT", f"/api/service/{service_id}", microservice()),
        ("DELETE", f"/api/service/{service_id}", None),
        ("POST", f"/api/service/{service_id}/instance", None),
        ("DELETE", f"/api/service/{service_id}/instance/-1", None),
        ("PUT", f"/api/service/{service_id}/replicas", {"replicas": 0}),
        ("GET", f"/api/service/{service_id}/instance/0/logs", None),
    ):
        alice.call(method, path, body, status=404)
    assert len(world.client().get(f"/api/service/{service_id}")["instance_list"]) == 1
    mine = alice.post("/api/application", sla())
    assert [a["userId"] for a in mine] == ["alice"]
    assert len(world.client().get("/api/applications")) == 2


def test_deploy_scale_and_undeploy(world: World) -> None:
    service_id = created(world)
    client = world.client()
    for _ in range(3):
        client.post(f"/api/service/{service_id}/instance")
    assert client.put(f"/api/service/{service_id}/replicas", {"replicas": 2})["instances_removed"] == [2]
    assert client.delete(f"/api/service/{service_id}/instance/0")["instances_removed"] == [0]
    assert client.delete(f"/api/service/{service_id}/instance/0")["outcome"] == "unchanged"
    assert client.post(f"/api/service/{service_id}/instance")["instance_number"] == 3
    assert [i["instance_number"] for i in client.get(f"/api/service/{service_id}")["instance_list"]] == [1, 3]
    assert client.delete(f"/api/service/{service_id}/instance/-1")["instances_removed"] == [1, 3]
    client.delete(f"/api/service/{service_id}/instance/9", status=404)
    assert client.get(f"/api/service/{service_id}")["instance_list"] == []
    assert set(world.nudges.heard) == {service_id}


def test_a_deleted_application_is_gone_at_once_and_its_services_when_they_stopped(world: World) -> None:
    service_id = created(world, replicas=1)
    (application,) = world.client().get("/api/applications")
    world.client().delete(f"/api/application/{application['applicationID']}")
    assert world.client().get("/api/applications") == [] and world.client().get("/api/services") == []
    world.client().get(f"/api/service/{service_id}", status=404)
    (left,) = world.store.services()
    assert left.is_removed and left.slots == ()
    world.client().post("/api/application", sla())
    world.manager.forget_services([left.service_id])
    assert [service.is_removed for service in world.store.services()] == [False]


def test_apply_over_http(world: World) -> None:
    client = world.client()
    dry = client.put("/api/apply?dry_run=true", sla())
    assert dry["applications"][0]["outcome"] == "created" and client.get("/api/applications") == []
    first = client.put("/api/apply", sla())
    assert first["applications"][0]["services"][0]["instances_added"] == [0]
    again = client.put("/api/apply", sla())
    assert again["applications"][0]["services"][0]["outcome"] == "unchanged"
    other = client.put("/api/apply", sla(microservice(microservice_name="db")))
    assert [s["outcome"] for s in other["applications"][0]["services"]] == ["created", "kept"]
    pruned = client.put("/api/apply?prune=true", sla(microservice(microservice_name="db")))
    assert [s["outcome"] for s in pruned["applications"][0]["services"]] == ["unchanged", "removed"]
    assert client.put("/api/apply?prunee=true", sla(), status=400)["field"] == "prunee"
    assert client.put("/api/apply?prune=maybe", sla(), status=400)["field"] == "prune"


def test_a_service_is_added_and_changed(world: World) -> None:
    service_id = created(world, replicas=1)
    client = world.client()
    (application,) = client.get("/api/applications")
    more = sla(microservice(microservice_name="db"), applicationID=application["applicationID"])
    answer = client.post("/api/service", more)
    assert answer["job_id"] == answer["services"][0]["microserviceID"]
    client.post("/api/service", more, status=409)
    client.post("/api/service", sla(microservice(microservice_name="x")), status=400)
    changed = client.put(f"/api/service/{service_id}", microservice(memory=128))
    assert changed["outcome"] == "changed" and changed["spec_revision"] == 2
    assert client.put(f"/api/service/{service_id}", microservice(memory=128))["outcome"] == "unchanged"
    renamed = client.put(f"/api/service/{service_id}", microservice(microservice_name="other"), status=400)
    assert renamed["field"] == "microservice_name"
    assert client.get(f"/api/service/{service_id}")["memory"] == 128


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"data": b"{", "content_type": "application/json"}, 400, "not JSON"),
        ({"data": b"", "content_type": "application/json"}, 400, "not JSON"),
        ({"data": b"\xff\xfe", "content_type": "application/json"}, 400, "not JSON"),
        ({"data": b"[]", "content_type": "application/json"}, 400, "must be a JSON object"),
        ({"data": b'{"a": NaN}', "content_type": "application/json"}, 400, "NaN"),
        ({"data": b'{"a": 1, "a": 2}', "content_type": "application/json"}, 400, "twice"),
        ({"data": b"[" * 50_000, "content_type": "application/json"}, 400, "nested too deeply"),
        ({"data": b"a=b", "content_type": "application/x-www-form-urlencoded"}, 415, "must be JSON"),
        ({"data": b" " * 70_000, "content_type": "application/json"}, 413, "at most 65536 bytes"),
    ],
)
def test_a_body_that_is_none(world: World, options: dict[str, Any], status: int, words: str) -> None:
    answer = world.client().call("POST", "/api/application", status=status, **options)
    assert answer["code"] == status and words in answer["message"]
    assert set(answer) == {"code", "status", "message", "field"}
    assert world.store.applications() == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/application/nope", 404),
        ("DELETE", "/api/application/nope", 404),
        ("GET", "/api/service/nope", 404),
        ("POST", "/api/service/nope/instance", 404),
        ("DELETE", "/api/service/nope/instance/0", 404),
        ("DELETE", "/api/service/nope/instance/one", 404),
        ("GET", "/api/services/nope", 404),
        ("GET", "/api/clusters/nope", 404),
        ("GET", "/api/nowhere", 404),
        ("PATCH", "/api/application", 405),
    ],
)
def test_what_is_not_there(world: World, method: str, path: str, status: int) -> None:
    answer = world.client().call(method, path, status=status)
    assert answer["code"] == status and answer["message"]


def test_a_mistake_in_an_sla_makes_nothing(world: World) -> None:
    broken = sla(microservice(), microservice(microservice_name="db", memroy=3))
    answer = world.client().post("/api/application", broken, status=400)
    assert answer["field"] == "applications[0].microservices[1].memroy"
    assert answer["message"].endswith("unknown field; did you mean memory?")
    unsupported = world.client().post("/api/application", sla(microservice(vgpus=1)), status=422)
    assert unsupported["field"] == "applications[0].microservices[0].vgpus"
    twice = sla(microservice(), microservice())
    assert "already at" in world.client().post("/api/application", twice, status=400)["message"]
    world.client().post("/api/application", sla())
    world.client().post("/api/application", sla(), status=409)
    assert len(world.store.applications()) == 1 and len(world.store.services()) == 1


def test_a_bug_answers_without_its_trace(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.placements.known.append(None)  # type: ignore[arg-type]
    with caplog.at_level(logging.ERROR):
        answer = world.client().get("/api/clusters", status=500, headers={"X-Request-Id": "abc-1"})
    assert answer["message"] == "Something is broken in here; an operator finds request abc-1 in the log."
    assert "abc-1" in caplog.text and "AttributeError" in caplog.text


def test_a_token_dies_with_its_user(world: World) -> None:
    alice = world.client(ALICE)
    world.store.delete_user("alice")
    alice.get("/api/applications", status=401)


def test_a_refresh_token_lives_for_a_week(world: World) -> None:
    kept, left = (bearer(world.tokens(ADMIN).refresh) for _ in range(2))
    world.clock.advance(7 * 86_400 - 1)
    world.client(None).post("/api/auth/refresh", headers=kept)
    world.clock.advance(1)
    world.client(None).post("/api/auth/refresh", headers=left, status=401)


def test_the_document_describes_what_is_answered(world: World) -> None:
    service_id = created(world, replicas=1)
    world.add_cluster()
    world.hear(world.place(service_id), State.RUNNING)
    client = world.client()
    schemas = client.get("/docs/openapi.json")["components"]["schemas"]
    service = client.get(f"/api/service/{service_id}")
    assert set(schemas["ServiceAnswer"]["properties"]) <= set(service)
    for name, answer in (
        ("InstanceAnswer", service["instance_list"][0]),
        ("ApplicationAnswer", client.get("/api/applications")[0]),
        ("ClusterAnswer", client.get("/api/clusters")[0]),
        ("UserAnswer", client.get("/api/users")[0]),
        ("ApplyAnswer", client.put("/api/apply", sla())),
        ("ServiceChangeAnswer", client.put(f"/api/service/{service_id}/replicas", {"replicas": 1})),
        ("InstanceChangeAnswer", client.post(f"/api/service/{service_id}/instance")),
        ("RefusalAnswer", client.get("/api/service/nope", status=404)),
    ):
        assert set(schemas[name]["properties"]) == set(answer), name
