"""What may happen to a service in its life, by the operator's command, with real containers."""

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.parts.images import File, build_image, build_oci_archive, busybox_files
from tests.parts.registry import private_registry
from tests.parts.stack import Stack, sla
from tests.support import eventually, free_port

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

FAILED, BAD_INPUT = 1, 2


def shell(script: str) -> tuple[str, ...]:
    return ("/bin/busybox", "sh", "-c", script)


def only(stack: Stack, name: str) -> dict[str, Any]:
    (service,) = [each for each in stack.services() if each["microservice_name"] == name]
    return service


def instance_of(stack: Stack, name: str) -> dict[str, Any]:
    (instance,) = only(stack, name)["instance_list"]
    found: dict[str, Any] = instance
    return found


def wait_for(stack: Stack, name: str, state: str, timeout_s: float = 30) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        instances = only(stack, name)["instance_list"]
        return instances[0] if [each["status"] for each in instances] == [state] else None

    found = eventually(reached, timeout_s=timeout_s, message=f"{name} {state}")
    assert found is not None
    return found


@pytest.fixture
def deploy(system: Stack, tmp_path: Path) -> "Deploy":
    return Deploy(system, tmp_path)


class Deploy:
    """`hedgerow deploy` of one service."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self._stack, self._directory = stack, directory

    def __call__(self, name: str, *options: str, code: int = 0, **fields: Any) -> str:
        file = self._directory / f"{name}.json"
        file.write_text(json.dumps(sla(name, **fields)))
        done = self._stack.cli("deploy", *options, str(file), check=False, timeout_s=90)
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said


class TestOneShots:
    def test_a_good_end_is_kept(self, system: Stack, deploy: Deploy) -> None:
        assert "1 of 1 ready" in deploy("good", one_shot=True, command=shell("echo done"))
        instance = instance_of(system, "good")
        assert (instance["status"], instance["exit_code"], instance["attempt"]) == ("COMPLETED", 0, 1)
        eventually(lambda: "done" in system.cli("service", "logs", "good").stdout, message="its output")

    def test_a_bad_end_is_kept_with_its_reason(self, system: Stack, deploy: Deploy) -> None:
        said = deploy("bad", one_shot=True, command=shell("echo oh no >&2; exit 7"), code=FAILED)
        assert "exited with code 7" in said
        instance = instance_of(system, "bad")
        assert (instance["status"], instance["exit_code"], instance["reason"]) == ("FAILED", 7, "EXITED")
        # The shim may still be writing the last words down when the end is known.
        eventually(lambda: "oh no" in system.cli("service", "logs", "bad").stdout, message="its last words")


class TestRestarts:
    def test_a_crash_is_followed_by_longer_and_longer_waits(self, system: Stack, deploy: Deploy) -> None:
        restart = {"delay": 0.2, "max_delay": 60}
        deploy("crashing", "--no-wait", command=shell("exit 3"), restart=restart)

        def third() -> dict[str, Any] | None:
            found = instance_of(system, "crashing")
            return found if found["attempt"] >= 4 and found["reason"] == "BACKING_OFF" else None

        instance = eventually(third, timeout_s=30, message="the third restart")
        assert instance is not None
        assert instance["exit_code"] == 3
        assert "exited with code 3; starting again in" in instance["status_detail"]

    def test_a_policy_that_is_spent_ends_in_failed(self, system: Stack, deploy: Deploy) -> None:
        restart = {"mode": "on_failure", "attempts": 2, "delay": 0.1}
        assert "allows 2 restarts" in deploy("spent", command=shell("exit 4"), restart=restart, code=FAILED)
        instance = instance_of(system, "spent")
        assert (instance["status"], instance["exit_code"], instance["attempt"]) == ("FAILED", 4, 3)

    def test_too_much_memory_is_told(self, system: Stack, deploy: Deploy) -> None:
        eater = shell("x=x; while true; do x=$x$x; done")
        said = deploy("eater", one_shot=True, command=eater, vcpus=1, code=FAILED)
        assert "16 MiB of memory" in said
        assert instance_of(system, "eater")["reason"] == "OUT_OF_MEMORY"


class TestProbes:
    def test_it_is_ready_only_when_it_says_so(self, system: Stack, deploy: Deploy) -> None:
        port = free_port()
        serve = shell(f"sleep 1; mkdir /www; echo hello >/www/index.html; exec /bin/busybox httpd -f -p {port} -h /www")
        readiness = {"type": "http", "port": port, "path": "/index.html", "interval": 1}
        deploy("web", "--no-wait", command=serve, port=str(port), probes={"readiness": readiness})
        seen: set[str] = set()

        def is_healthy() -> bool:
            instance = instance_of(system, "web")
            seen.add(instance["health"])
            return bool(instance["health"] == "healthy")

        eventually(is_healthy, timeout_s=30, message="healthy")
        assert "starting" in seen

    def test_one_that_does_not_live_any_more_begins_anew(self, system: Stack, deploy: Deploy) -> None:
        liveness = {"type": "exec", "command": ["/bin/busybox", "test", "-e", "/alive"], "interval": 0.3, "failures": 2}
        ages = shell("touch /alive; sleep 2; rm /alive; sleep 1000")
        deploy("ageing", "--no-wait", command=ages, restart={"delay": 0.2}, probes={"liveness": liveness})

        def begun_anew() -> dict[str, Any] | None:
            found = instance_of(system, "ageing")
            return found if found["attempt"] >= 2 and found["status_detail"] else None

        instance = eventually(begun_anew, timeout_s=30, message="a second attempt")
        assert instance is not None
        assert "its liveness probe failed 2 times in a row (exit code 1" in instance["status_detail"]


class TestRefusals:
    def test_an_unknown_image_is_named(self, system: Stack, deploy: Deploy) -> None:
        with private_registry() as registry:
            trust(system, registry.host)
            image = f"{registry.host}/no/such:1"
            said = deploy("unknown", image=image, code=FAILED)
        assert image in said
        assert instance_of(system, "unknown")["reason"] == "IMAGE_NOT_FOUND"

    def test_ten_terabytes_of_memory_are_nowhere(self, system: Stack, deploy: Deploy) -> None:
        said = deploy("huge", "--timeout", "3", memory=10_000_000, code=FAILED)
        assert "memory" in said
        instance = instance_of(system, "huge")
        assert instance["status"] == "NoActiveClusterWithCapacity"
        assert "10000000 MB asked" in instance["status_detail"]

    def test_a_wrong_file_has_an_exit_code_of_its_own(self, system: Stack, deploy: Deploy, tmp_path: Path) -> None:
        assert "memory" in deploy("wrong", memory=-1, code=BAD_INPUT)
        (tmp_path / "none.yaml").write_text("{{{")
        for file in ("none.yaml", "missing.yaml"):
            assert system.cli("deploy", str(tmp_path / file), check=False).returncode == BAD_INPUT
        assert system.services() == []

    def test_a_cordoned_node_takes_nothing_new(self, system: Stack, deploy: Deploy) -> None:
        deploy("before")
        (node,) = system.api.request("GET", "/api/nodes")["nodes"]
        system.cli("node", "cordon", node["node_name"])
        try:
            said = deploy("after", "--timeout", "3", code=FAILED)
            assert "node that takes instances" in said
            assert instance_of(system, "before")["status"] == "RUNNING"
        finally:
            system.cli("node", "uncordon", node["node_name"])
        wait_for(system, "after", "RUNNING")


class TestChanges:
    def test_up_and_down_and_one_less(self, system: Stack, deploy: Deploy) -> None:
        deploy("wide", replicas=2)
        system.cli("service", "scale", "wide", "4")
        assert len(system.tasks()) == 4
        system.cli("service", "scale", "wide", "2")
        eventually(lambda: len(system.containers()) == 2)
        numbers = sorted(each["instance_number"] for each in only(system, "wide")["instance_list"])
        system.cli("service", "undeploy", "wide", str(numbers[0]))
        system.wait_running(1)
        assert instance_of(system, "wide")["instance_number"] == numbers[1]
        system.cli("service", "undeploy", "wide")
        eventually(lambda: not system.instances() and not system.containers())

    def test_the_same_again_changes_nothing(self, system: Stack, deploy: Deploy) -> None:
        assert "created: same" in deploy("same")
        before = system.tasks()
        assert "unchanged: same" in deploy("same")
        assert system.tasks() == before

    def test_a_change_replaces_one_instance_after_the_other(self, system: Stack, deploy: Deploy) -> None:
        deploy("rolling", replicas=3, environment=["COLOUR=red"])
        old = set(system.tasks())
        deploy("rolling", "--no-wait", replicas=3, environment=["COLOUR=blue"])
        fewest = 3

        def is_changed() -> bool:
            nonlocal fewest
            instances = only(system, "rolling")["instance_list"]
            wanted = [each for each in instances if each["status"] == "RUNNING" and each["desired"] == "RUNNING"]
            fewest = min(fewest, len(wanted))
            revisions = {each["spec_revision"] for each in wanted}
            return len(instances) == 3 and len(wanted) == 3 and revisions == {2}

        eventually(is_changed, timeout_s=60, interval_s=0.01, message="three new instances")
        assert fewest >= 2
        eventually(lambda: len(system.tasks()) == 3)
        assert not old & set(system.tasks())
        for pid in system.tasks().values():
            # containerd calls a task running a moment before its command replaces runc.
            environ = Path(f"/proc/{pid}/environ")
            eventually(partial(_has, environ, b"COLOUR=blue"))


class TestOutput:
    def test_logs_follow(self, system: Stack, deploy: Deploy) -> None:
        deploy("talker", command=shell("i=0; while true; do i=$((i+1)); echo line $i; /bin/busybox sleep 0.1; done"))
        eventually(
            lambda: "line 3\n" in system.cli("service", "logs", "talker").stdout, timeout_s=30, message="three lines"
        )
        assert system.cli("service", "logs", "-n", "2", "talker").stdout.count("line") == 2
        with following(system, "talker") as follower:
            assert follower.stdout is not None
            first = int(follower.stdout.readline().split()[1])
            numbers = [int(follower.stdout.readline().split()[1]) for _ in range(30)]
        assert numbers == list(range(first + 1, first + 31))


class TestImages:
    def test_one_from_a_file(self, system: Stack, deploy: Deploy, tmp_path: Path) -> None:
        archive = tmp_path / "own.tar"
        name = "hedgerow.local/test/own:1"
        build_oci_archive(archive, busybox_files({"etc/motd": File(b"from a file")}), name=name)
        system.cli("image", "import", str(archive))
        deploy("own", image=name, one_shot=True, command=("/bin/cat", "/etc/motd"))
        assert "from a file" in system.cli("service", "logs", "own").stdout

    def test_half_a_file_is_refused(self, system: Stack, tmp_path: Path) -> None:
        archive = tmp_path / "half.tar"
        build_oci_archive(archive, busybox_files(), name="hedgerow.local/test/half:1")
        archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
        before = system.ctr("images", "list", "-q")
        done = system.cli("image", "import", str(archive), check=False)
        assert done.returncode in (FAILED, BAD_INPUT)
        assert "half.tar" in done.stderr
        assert "Traceback" not in done.stderr
        assert system.ctr("images", "list", "-q") == before

    def test_one_from_a_registry_that_wants_a_password(self, system: Stack, deploy: Deploy, tmp_path: Path) -> None:
        image = build_image([busybox_files({"etc/motd": File(b"from a registry")})])
        command = ("/bin/cat", "/etc/motd")
        with private_registry(needs_password=True) as registry:
            name = registry.push(image, "shop/web", "1")
            trust(system, registry.host)
            assert registry.host in deploy("stranger", image=name, one_shot=True, command=command, code=FAILED)
            trust(system, registry.host, registry.auth_file(tmp_path / "auth.json"))
            deploy("known", image=name, one_shot=True, command=command)
            assert "from a registry" in system.cli("service", "logs", "known").stdout

    def test_plain_http_only_where_it_was_said(self, system: Stack, deploy: Deploy) -> None:
        with private_registry() as registry:
            name = registry.push(build_image([busybox_files()]), "shop/web", "1")
            trust(system, "registry.invalid")
            said = deploy("plain", "--timeout", "2", image=name, one_shot=True, command=("/bin/true",), code=FAILED)
            assert registry.host in said
            trust(system, registry.host)
            assert wait_for(system, "plain", "COMPLETED")["exit_code"] == 0


def _has(file: Path, text: bytes) -> bool:
    return text in file.read_bytes()


def trust(stack: Stack, host: str, auth_file: Path | str = "") -> None:
    """Plain HTTP for this host, and these credentials; the node is started again with them."""
    stack.up(
        "--set", f"HEDGEROW_NODE_PLAIN_HTTP_REGISTRIES={host}", "--set", f"HEDGEROW_NODE_REGISTRY_AUTH_FILE={auth_file}"
    )


class following:  # noqa: N801 - used like a function
    """`hedgerow service logs -f`, ended as with Ctrl-C."""

    def __init__(self, stack: Stack, name: str) -> None:
        # Whoever runs the tests in the background made SIGINT ignored, and that is inherited.
        command = ["env", "--default-signal=INT", sys.executable, "-m", "hedgerow", "service", "logs", "-f", name]
        self._process = subprocess.Popen(command, env=stack.environment, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "subprocess.Popen[str]":
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            assert self._process.wait(10) == 130
        finally:
            self._process.kill()
