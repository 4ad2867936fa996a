import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from hedgerow.__main__ import main
from hedgerow.cli.session import Api, Session, load, save
from tests.unit.operator.fake_root import FakeRoot, application, fake_root, instance, service


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    out: str
    err: str


Hedgerow = Callable[..., Outcome]


@pytest.fixture
def root() -> Iterator[FakeRoot]:
    with fake_root() as started:
        yield started


@pytest.fixture
def session_file(root: FakeRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEDGEROW_HOME", str(tmp_path))
    for variable in ("HEDGEROW_URL", "HEDGEROW_TOKEN", "HEDGEROW_DEBUG"):
        monkeypatch.delenv(variable, raising=False)
    path = tmp_path / "session.json"
    save(path, Session(root.url, "token", "Admin", "refresh"))
    return path


@pytest.fixture
def hedgerow(session_file: Path, capsys: pytest.CaptureFixture[str]) -> Hedgerow:
    def run(*arguments: str) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int | None)
        return Outcome(ended.value.code or 0, said.out, said.err)

    return run


@pytest.fixture
def sla_file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text("sla_version: v2.0\napplications: []\n")
    return path


@pytest.mark.parametrize(
    ("outcome", "refused", "code", "words"),
    [
        ("unchanged", 0, 0, "stays as it is"),
        ("changed", 0, 2, "image: web:1 -> web:2"),
        ("changed", 1, 1, "1 of 2 would be refused: The only cluster, home, has too little memory."),
    ],
)
def test_a_plan_has_codes_for_scripts(
    root: FakeRoot, hedgerow: Hedgerow, sla_file: Path, outcome: str, refused: int, code: int, words: str
) -> None:
    answer = changes(outcome, "web")
    answer["applications"][0] |= {"outcome": "unchanged"}
    answer["applications"][0]["services"][0] |= {
        "instances_added": [],
        "instances_removed": [],
        "changes": [{"field": "image", "before": "web:1", "after": "web:2"}],
        "placement": {
            "tried": 2,
            "placed": [{"cluster_name": "home", "instances": 2 - refused}],
            "refused": refused,
            "detail": "The only cluster, home, has too little memory.",
        },
    }
    root.on("PUT /api/apply", answer)
    ended = hedgerow("plan", str(sla_file))
    assert (ended.code, words in ended.out) == (code, True)


def test_a_plan_of_a_wrong_file_ends_with_1(hedgerow: Hedgerow, tmp_path: Path) -> None:
    assert hedgerow("plan", str(tmp_path / "nowhere.yaml")).code == 1


def test_versions_are_listed_and_wanted_again(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/services", [service("web", instance(0))])
    version = {"since": 0.0, "cause": "", "image": "web:1", "is_current": False, "is_stable": True, "sla": {}}
    change = {"field": "image", "before": "web:1", "after": "web:2"}
    newest = {**version, "spec_revision": 2, "is_current": True, "is_stable": False, "changes": [change]}
    root.on("GET /api/service/id-web/history", [newest, {**version, "spec_revision": 1, "changes": []}])
    listed = hedgerow("service", "history", "shop.web").out
    assert "present" in listed
    assert "last that was well" in listed
    root.on("POST /api/service/id-web/rollback", {"spec_revision": 3})
    assert hedgerow("service", "rollback", "shop.web", "1", "--no-wait").code == 0
    assert root.asked("POST /api/service/id-web/rollback")[0].body == {"revision": 1}


@pytest.mark.parametrize("order", ["pause", "resume", "promote"])
def test_a_rollout_is_ordered(root: FakeRoot, hedgerow: Hedgerow, order: str) -> None:
    root.on("GET /api/services", [service("web", instance(0))])
    root.on("GET /api/service/id-web", service("web", instance(0)))
    root.on("POST /api/service/id-web/rollout", {"spec_revision": 1})
    assert hedgerow("service", order, "shop.web").code == 0
    assert root.asked("POST /api/service/id-web/rollout")[0].body == {"order": order}


def changes(outcome: str, *names: str) -> dict[str, Any]:
    services = [
        {"microserviceID": f"id-{name}", "job_name": f"shop.prod.{name}.prod", "outcome": outcome, "replicas": 1}
        for name in names
    ]
    return {"dry_run": False, "applications": [{"applicationID": "id-shop", "services": services}]}


def test_services_are_a_table(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/services", [service("web", instance(0), instance(1, "CREATING"))])
    outcome = hedgerow("service", "ls")
    assert outcome.code == 0
    heading, row = outcome.out.splitlines()
    assert heading.split() == ["SERVICE", "STATUS", "READY", "AGE", "IMAGE", "ANSWERS", "AT", "DETAIL"]
    assert row.split() == ["shop.web", "RUNNING", "1/2", "3", "s", "registry.example/web:1", "10.0.0.7:8080"]


@pytest.mark.parametrize(("output", "parse"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_services_are_data(root: FakeRoot, hedgerow: Hedgerow, output: str, parse: Callable[[str], Any]) -> None:
    services = [service("web", instance(0))]
    root.on("GET /api/services", services)
    assert parse(hedgerow("service", "ls", "-o", output).out) == services


def test_no_services_is_a_sentence(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/services", [])
    assert "no service yet" in hedgerow("service", "ls").out


@pytest.mark.parametrize("name", ["id-web", "web", "shop.web", "shop.prod.web.prod"])
def test_a_service_has_many_names(root: FakeRoot, hedgerow: Hedgerow, name: str) -> None:
    root.on("GET /api/services", [service("db", instance(0)), service("web", instance(0))])
    assert json.loads(hedgerow("service", "show", name, "-o", "json").out)["microserviceID"] == "id-web"


def test_an_unknown_name_says_which_there_are(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/services", [service("db"), service("web")])
    outcome = hedgerow("service", "show", "cache")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "hedgerow: There is no service named cache. There are: db, web.\n"


def test_an_ambiguous_name_is_refused(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/services", [service("web"), service("web", app_name="blog", job_name="blog.prod.web.prod")])
    outcome = hedgerow("service", "show", "web")
    assert outcome.code == 2
    assert "blog.web or shop.web" in outcome.err


def test_an_expired_token_is_renewed_and_kept(root: FakeRoot, hedgerow: Hedgerow, session_file: Path) -> None:
    root.is_accepted = lambda token: token == "fresh"
    root.on("POST /api/auth/refresh", {"token": "fresh", "refresh_token": "next"})
    root.on("GET /api/clusters", [])
    assert hedgerow("cluster", "ls").code == 0
    assert root.asked("POST /api/auth/refresh")[0].token == "refresh"
    assert load(session_file) == Session(root.url, "fresh", "Admin", "next")
    assert session_file.stat().st_mode & 0o777 == 0o600


def test_what_another_command_renewed_is_not_renewed_again(root: FakeRoot, session_file: Path) -> None:
    api = Api(Session(root.url, "token", "Admin", "refresh"), session_file)
    save(session_file, Session(root.url, "fresh", "Admin", "next"))
    root.is_accepted = lambda token: token == "fresh"
    root.on("GET /api/clusters", [])
    assert api.get("/api/clusters") == []
    assert root.asked("POST /api/auth/refresh") == []


def test_a_renewed_session_that_is_old_by_now_is_renewed_with_its_own_token(root: FakeRoot, session_file: Path) -> None:
    api = Api(Session(root.url, "token", "Admin", "refresh"), session_file)
    save(session_file, Session(root.url, "older", "Admin", "next"))
    root.is_accepted = lambda token: token == "fresh"
    root.on("POST /api/auth/refresh", {"token": "fresh", "refresh_token": "last"})
    root.on("GET /api/clusters", [])
    assert api.get("/api/clusters") == []
    assert [asked.token for asked in root.asked("POST /api/auth/refresh")] == ["next"]


def test_an_ended_session_says_what_to_do(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.is_accepted = lambda _: False
    root.on("POST /api/auth/refresh", {"message": "no"}, status=401)
    outcome = hedgerow("cluster", "ls")
    assert outcome.code == 1
    assert outcome.err == f"hedgerow: Your session at {root.url} has ended. Run `hedgerow login`.\n"


def test_a_token_in_the_environment_wins(root: FakeRoot, hedgerow: Hedgerow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEDGEROW_URL", root.url)
    monkeypatch.setenv("HEDGEROW_TOKEN", "given")
    root.on("GET /api/clusters", [])
    hedgerow("cluster", "ls")
    assert root.requests[0].token == "given"


def test_a_root_that_is_down_is_one_sentence(hedgerow: Hedgerow, session_file: Path) -> None:
    save(session_file, Session("http://127.0.0.1:9", "token"))
    outcome = hedgerow("app", "ls")
    assert outcome.code == 1
    assert outcome.err.startswith("hedgerow: http://127.0.0.1:9 did not answer")
    assert outcome.err.count("\n") == 1


def test_an_answer_of_another_shape_is_no_traceback(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/services", [{"nonsense": 1}])
    outcome = hedgerow("service", "ls")
    assert outcome.code == 1
    assert "KeyError" in outcome.err
    assert "Traceback" not in outcome.err


def test_deploy_waits_until_all_is_ready(root: FakeRoot, hedgerow: Hedgerow, sla_file: Path) -> None:
    root.on("PUT /api/apply", changes("created", "web"))
    root.on(
        "GET /api/service/id-web",
        service("web", replicas=1),
        service("web", instance(0, "CREATING", status_detail="pulling 40 %")),
        service("web", instance(0)),
    )
    outcome = hedgerow("deploy", str(sla_file))
    assert outcome.code == 0
    assert "created: shop.prod.web.prod (1 wanted)" in outcome.out
    assert "shop.web: 1 of 1 ready, answers at http://10.0.0.7:8080" in outcome.out
    assert root.asked("PUT /api/apply")[0].body == {"sla_version": "v2.0", "applications": []}


def test_deploy_says_why_it_failed(root: FakeRoot, hedgerow: Hedgerow, sla_file: Path) -> None:
    root.on("PUT /api/apply", changes("created", "web"))
    failed = instance(0, "FAILED", status_detail="It ended with exit code 3 three times.", reason="EXITED")
    root.on("GET /api/service/id-web", service("web", failed))
    outcome = hedgerow("deploy", str(sla_file))
    assert outcome.code == 1
    assert outcome.err.endswith("hedgerow: shop.web.0 is FAILED: It ended with exit code 3 three times.\n")


def test_deploy_ends_when_time_is_up(root: FakeRoot, hedgerow: Hedgerow, sla_file: Path) -> None:
    root.on("PUT /api/apply", changes("created", "web"))
    root.on("GET /api/service/id-web", service("web", instance(0, "CREATING", status_detail="pulling 40 %")))
    outcome = hedgerow("deploy", "--timeout", "0", str(sla_file))
    assert outcome.code == 1
    assert "0 of 1 ready after 0 s. shop.web.0 is CREATING: pulling 40 %." in outcome.err


def test_a_dry_run_waits_for_nothing(root: FakeRoot, hedgerow: Hedgerow, sla_file: Path) -> None:
    root.on("PUT /api/apply", changes("changed", "web"))
    outcome = hedgerow("deploy", "--dry-run", "--prune", str(sla_file))
    assert outcome.code == 0
    assert outcome.out == "would be changed: shop.prod.web.prod (1 wanted)\n"
    assert root.asked("PUT /api/apply")[0].path == "/api/apply?dry_run=true&prune=true"


def test_what_was_removed_is_not_waited_for(root: FakeRoot, hedgerow: Hedgerow, sla_file: Path) -> None:
    root.on("PUT /api/apply", changes("removed", "web"))
    assert hedgerow("deploy", str(sla_file)).code == 0
    assert not root.asked("GET /api/service/id-web")


def test_a_refused_sla_is_bad_input(root: FakeRoot, hedgerow: Hedgerow, sla_file: Path) -> None:
    root.on("PUT /api/apply", {"message": "applications: must name at least one", "field": "applications"}, status=400)
    outcome = hedgerow("deploy", str(sla_file))
    assert (outcome.code, outcome.err) == (2, "hedgerow: applications: must name at least one\n")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: [1,\n", "neither JSON nor YAML"),
        (b"\xff\xfe", "not text in UTF-8 (byte 0)"),
        (b"- 1\n", "must hold one object"),
        (b"[1]", "must hold one object"),
        (b"!!python/object:os.system {}", "neither JSON nor YAML"),
    ],
)
def test_a_file_that_is_no_sla(hedgerow: Hedgerow, tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "sla"
    file.write_bytes(content)
    outcome = hedgerow("deploy", str(file))
    assert outcome.code == 2
    assert expected in outcome.err


def test_scale_waits(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/services", [service("web", instance(0))])
    root.on("PUT /api/service/id-web/replicas", {})
    root.on("GET /api/service/id-web", service("web", instance(0), instance(1)))
    assert hedgerow("service", "scale", "web", "2").code == 0
    assert root.asked("PUT /api/service/id-web/replicas")[0].body == {"replicas": 2}


def test_undeploy_means_all(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/services", [service("web", instance(0))])
    root.on("DELETE /api/service/id-web/instance/-1", {})
    assert "all instances will stop" in hedgerow("service", "undeploy", "web").out


def test_logs_of_several_instances_have_a_prefix(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/services", [service("web", instance(0), instance(3))])
    root.on("GET /api/service/id-web/instance/0/logs", {"text": "a\nb\n", "cursor": 7})
    root.on("GET /api/service/id-web/instance/3/logs", {"text": "c\n", "cursor": 2})
    assert hedgerow("service", "logs", "web").out == "0 | a\n0 | b\n3 | c\n"
    assert hedgerow("service", "logs", "web", "3").out == "c\n"


def test_an_application_is_removed_when_sure(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/applications", [application()])
    root.on("DELETE /api/application/id-shop", {})
    assert hedgerow("app", "rm", "shop.prod", "--yes").out == "Deleted shop.\n"


def test_a_node_is_cordoned(root: FakeRoot, hedgerow: Hedgerow) -> None:
    node = {"node_id": "n1", "node_name": "pi", "cluster_id": "c1", "cluster_name": "local", "readiness": "ready"}
    root.on("GET /api/nodes", {"nodes": [node], "unreachable": []})
    root.on("PUT /api/clusters/c1/nodes/n1/cordon", {})
    assert hedgerow("node", "cordon", "local.pi").out == "pi takes no new instances.\n"
    assert root.asked("PUT /api/clusters/c1/nodes/n1/cordon")[0].body == {"cordoned": True}


def test_status_of_a_machine_that_is_down(root: FakeRoot, hedgerow: Hedgerow) -> None:
    outcome = hedgerow("status", "-o", "json")
    shown = json.loads(outcome.out)
    assert (outcome.code, shown["ok"]) == (1, False)
    assert [part["part"] for part in shown["parts"]] == ["mosquitto", "containerd", "root", "cluster", "node"]
    assert "root does not run." in shown["problems"]


def test_every_command_explains_itself(hedgerow: Hedgerow) -> None:
    commands = [["up"], ["down"], ["status"], ["login"], ["deploy"], ["image", "import"]]
    commands += [["app", name] for name in ("create", "ls", "show", "rm")]
    commands += [["service", name] for name in ("ls", "show", "deploy", "scale", "undeploy", "logs")]
    commands += [["cluster", name] for name in ("ls", "show")]
    commands += [["node", name] for name in ("ls", "show", "cordon", "uncordon")]
    for command in commands:
        outcome = hedgerow(*command, "--help")
        assert outcome.code == 0
        assert "Example" in outcome.out, command


def test_a_wrong_command_is_bad_input(hedgerow: Hedgerow) -> None:
    assert hedgerow("service", "scale", "web", "many").code == 2
    assert hedgerow("no-such-command").code == 2
