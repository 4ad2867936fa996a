"""Which SLAs become which specs, and what is said about those that do not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.errors import InvalidInput, Unsupported
from edge_common.model.ids import ServiceId
from edge_common.model.network import PortMapping, Transport
from edge_common.model.resources import Resources
from edge_common.model.service import (
    Constraints,
    Device,
    PullPolicy,
    RestartMode,
    RestartPolicy,
    ServiceSpec,
    Spreading,
    Ulimit,
)
from edge_common.wire.codec import decode, encode
from edge_common.wire.derive import MAX_TEXT
from edge_common.wire.messages import DesiredService
from edge_common.wire.sla import parse_sla
from root_orchestrator.core.admission import ApplicationDraft, admit
from tests.unit.root.world import microservice, sla

HERE = "applications[0].microservices[0]"


def admitted(document: Any, username: str = "Admin") -> tuple[ApplicationDraft, ...]:
    return admit(parse_sla(document), username)


def spec_of(**changes: Any) -> ServiceSpec:
    return admitted(sla(microservice(**changes)))[0].services[0].spec


def test_a_spec_says_what_the_sla_says() -> None:
    spec = spec_of(
        virtualization="docker",
        memory=128,
        vcpus=1.5,
        storage=10,
        port="8080:80;53/udp;9000:9000/tcp",
        environment=["A=1", "B=x=y"],
        working_dir="/srv",
        user="1000:1000",
        read_only=True,
        privileged=True,
        pids=64,
        ulimits={"nofile": [1024, 2048], "core": 0, "memlock": -1},
        devices=["/dev/kvm", "/dev/a:/dev/b:r"],
        restart={"mode": "on-failure", "attempts": 3, "delay": 0.5, "max_delay": 5, "reset_after": 10},
        stop_grace=3,
        pull_policy="never",
        placement="binpack",
        lease=5,
        arch=["x86_64", "arm64", "amd64"],
        target_node="n1",
    )
    assert spec.name == "shop.test.web.test" and spec.runtime == "container"
    assert spec.resources == Resources(1500, 128, 10)
    assert spec.ports == (PortMapping(8080, 80), PortMapping(53, 53, Transport.UDP), PortMapping(9000, 9000))
    assert spec.environment == ("A=1", "B=x=y") and spec.command == ("httpd", "-f")
    assert (spec.working_directory, spec.user, spec.pids_limit) == ("/srv", "1000:1000", 64)
    assert spec.is_root_read_only and spec.is_privileged and not spec.is_one_shot
    assert spec.ulimits == (Ulimit("core", 0, 0), Ulimit("memlock", -1, -1), Ulimit("nofile", 1024, 2048))
    assert spec.devices == (Device("/dev/kvm", "/dev/kvm"), Device("/dev/a", "/dev/b", "r"))
    assert spec.restart == RestartPolicy(RestartMode.ON_FAILURE, 3, 0.5, 5.0, 10.0)
    assert (spec.stop_grace_s, spec.pull_policy, spec.spreading) == (3.0, PullPolicy.NEVER, Spreading.BINPACK)
    assert (spec.lease_s, spec.architectures) == (5.0, ("amd64", "arm64"))
    assert spec.constraints == Constraints(nodes=("n1",))
    assert spec.needs_overlay


def test_the_least_that_is_enough() -> None:
    keys = ("microservice_name", "microservice_namespace", "virtualization", "code")
    least = {key: value for key, value in microservice().items() if key in keys}
    spec = admitted(sla(least))[0].services[0].spec
    assert spec.resources == Resources() and spec.restart.mode is RestartMode.ALWAYS and not spec.needs_overlay


def test_neutral_values_of_fields_that_nothing_serves_are_taken() -> None:
    spec_of(
        vgpus=0, vtpus=0, bandwidth_in=0, bandwidth_out=0, volumes=[], connectivity=[], state="", added_files=[],
        sla_violation_strategy="", args=[], platform="", vm_images=[], constraints=[], target_node="",
        addresses={"rr_ip": "", "rr_ip_v6": "", "closest_ip": "", "closest_ip_v6": "", "instances": []},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vgpus", 1), ("vtpus", 1), ("bandwidth_in", 10), ("bandwidth_out", 10), ("volumes", [{"volume_id": "v"}]),
        ("connectivity", [{"target_microservice_id": "x"}]), ("state", "x"), ("sla_violation_strategy", "x"),
        ("added_files", ["f"]), ("args", ["a"]), ("platform", "linux"), ("vm_images", ["i"]),
    ],
)  # fmt: skip
def test_real_values_of_fields_that_nothing_serves_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(Unsupported, match="not supported yet by this version") as refused:
        spec_of(**{name: value})
    assert refused.value.field == f"{HERE}.{name}"


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"memroy": 1}, "memroy", "did you mean memory"),
        ({"xyzzy": 1}, "xyzzy", "unknown field"),
        ({"memory": "64"}, "memory", "whole number"),
        ({"memory": True}, "memory", "whole number"),
        ({"memory": 1.5}, "memory", "whole number"),
        ({"memory": -1}, "memory", "from 0"),
        ({"memory": 2**40}, "memory", "to 1073741824"),
        ({"memory": None}, "memory", "null"),
        ({"vcpus": -0.5}, "vcpus", "from 0"),
        ({"vcpus": 1e9}, "vcpus", "to 100000"),
        ({"vcpus": float("inf")}, "vcpus", "a number"),
        ({"vcpus": 10**400}, "vcpus", "too large"),
        ({"vcpus": 0.0001}, "vcpus", "0.001"),
        ({"replicas": -1}, "replicas", "from 0"),
        ({"replicas": 10**6}, "replicas", "to 100000"),
        ({"microservice_name": "x" * 31}, "microservice_name", "30"),
        ({"microservice_name": ""}, "microservice_name", "1 to 30"),
        ({"microservice_name": "a.b"}, "microservice_name", "letters and digits"),
        ({"microservice_name": "a-"}, "microservice_name", "letters and digits"),
        ({"microservice_name": "a\n"}, "microservice_name", "letters and digits"),
        ({"microservice_name": 7}, "microservice_name", "text"),
        ({"microserviceID": "abc"}, "microserviceID", "must be empty"),
        ({"virtualization": "Docker!"}, "virtualization", "name of a runtime"),
        ({"code": ""}, "code", "1 to"),
        ({"code": "my image"}, "code", "no image"),
        ({"code": "x" * 3000}, "code", "2048"),
        ({"cmd": "sh"}, "cmd", "list"),
        ({"cmd": [1]}, "cmd[0]", "text"),
        ({"cmd": ["a\0b"]}, "cmd[0]", "NUL"),
        ({"environment": ["A"]}, "environment[0]", "NAME=value"),
        ({"environment": ["A=1", "A=2"]}, "environment", "twice"),
        ({"environment": ["A=\ud800"]}, "environment[0]", "broken characters"),
        ({"port": "80:99999"}, "port", "no port"),
        ({"port": "0"}, "port", "no port"),
        ({"port": "80/sctp"}, "port", "no port"),
        ({"port": "80:1;80:2"}, "port", "twice"),
        ({"port": ["80"]}, "port", "text"),
        ({"arch": ["z80"]}, "arch[0]", "one of"),
        ({"one_shot": "yes"}, "one_shot", "true or false"),
        ({"one_shot": True, "restart": {"mode": "always"}}, "restart.mode", "one-shot"),
        ({"restart": {"mode": "sometimes"}}, "restart.mode", "one of"),
        ({"restart": {"mode": "never", "attempts": 2}}, "restart.attempts", "no meaning"),
        ({"restart": {"delay": 10, "max_delay": 1}}, "restart.delay", "above max_delay"),
        ({"restart": {"retries": 1}}, "restart.retries", "unknown field"),
        ({"restart": []}, "restart", "object"),
        ({"user": "a b"}, "user", "user:group"),
        ({"working_dir": "srv"}, "working_dir", "absolute"),
        ({"pids": 10**9}, "pids", "4194304"),
        ({"ulimits": {"files": 1}}, "ulimits.files", "unknown limit"),
        ({"ulimits": {"nofile": [2, 1]}}, "ulimits.nofile", "soft limit"),
        ({"ulimits": {"nofile": [-1, 1]}}, "ulimits.nofile", "soft limit"),
        ({"ulimits": {"nofile": "many"}}, "ulimits.nofile", "whole number"),
        ({"ulimits": {"nofile": True}}, "ulimits.nofile", "whole number"),
        ({"ulimits": []}, "ulimits", "object"),
        ({"devices": ["/etc/shadow"]}, "devices[0]", "/dev/x"),
        ({"devices": ["/dev/../etc/shadow"]}, "devices[0]", "/dev/x"),
        ({"devices": ["/dev/a", "/dev/b:/dev/a"]}, "devices", "twice"),
        ({"stop_grace": 10**6}, "stop_grace", "3600"),
        ({"pull_policy": "often"}, "pull_policy", "one of"),
        ({"placement": "random"}, "placement", "one of"),
        ({"lease": 0}, "lease", "0.1"),
        ({"addresses": {"rr_ip": "10.31.0.1"}}, "addresses.rr_ip", "10.30.0.0/16"),
        ({"addresses": {"rr_ip": "nope"}}, "addresses.rr_ip", "no IP address"),
        ({"addresses": {"rr_ip": "10.30.0.0"}}, "addresses.rr_ip", "first or the last"),
        ({"addresses": {"rr_ip": "fdff:2000::1"}}, "addresses.rr_ip", "10.30.0.0/16"),
        ({"addresses": {"rr_ip_v6": "fd00::1"}}, "addresses.rr_ip_v6", "fdff:2000::/21"),
        ({"addresses": {"closest_ip": "10.30.0.9"}}, "addresses.closest_ip", "not supported"),
        ({"addresses": {"instances": [{"from": 1}]}}, "addresses.instances", "not supported"),
        ({"constraints": [{"type": "latency", "threshold": 5}]}, "constraints[0].type", "not supported"),
        ({"constraints": [{"type": "geo"}]}, "constraints[0].type", "not supported"),
        ({"constraints": [{"type": "addons", "needs": ["x"]}]}, "constraints[0].type", "not supported"),
        ({"constraints": [{"type": "direct", "area": "x", "node": "n"}]}, "constraints[0].area", "not supported"),
        ({"constraints": [{"type": "direct"}]}, "constraints[0]", "names a cluster"),
        ({"constraints": [{"type": "direct", "node": " ; "}]}, "constraints[0].node", "no name"),
        ({"constraints": [{"type": "direct", "allowed": ["a"]}]}, "constraints[0].allowed", "belongs to"),
        ({"constraints": [{"type": "clusters", "node": "n"}]}, "constraints[0].node", "belongs to"),
        ({"constraints": [{"type": "clusters"}]}, "constraints[0].allowed", "no cluster"),
        ({"constraints": [{}]}, "constraints[0].type", "missing"),
        ({"constraints": [{"type": "direct", "cluster": "a"}, {"type": "clusters", "allowed": ["b"]}]},
         "constraints", "no cluster can satisfy"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        spec_of(**changes)
    assert refused.value.field == f"{HERE}.{field}"
    assert words in str(refused.value) and str(refused.value).startswith(f"{HERE}.{field}: ")


@pytest.mark.parametrize("missing", ["microservice_name", "microservice_namespace", "virtualization", "code"])
def test_what_is_required_is_asked_for(missing: str) -> None:
    document = microservice()
    del document[missing]
    with pytest.raises(InvalidInput, match=f"{missing}: is missing"):
        admitted(sla(document))


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"sla_version": "v1.0"}, "sla_version", "deprecated"),
        ({"sla_version": "v3.0"}, "sla_version", "v2.0"),
        ({"sla_version": None}, "sla_version", "missing"),
        ({"sla_version": 2}, "sla_version", "v2.0"),
        ({"customerID": "bob"}, "customerID", "not you"),
        ({"applications": []}, "applications", "at least one"),
        ({"applications": {}}, "applications", "list"),
        ({"applications": [1]}, "applications[0]", "object"),
        ({"args": ["x"]}, "args", "not supported"),
        ({"aplications": []}, "aplications", "did you mean applications"),
    ],
)
def test_a_mistake_at_the_top_is_named(changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        admitted({**sla(), **changes})
    assert refused.value.field == field


def test_the_number_of_further_mistakes_is_told() -> None:
    with pytest.raises(InvalidInput, match=r"\(2 more mistakes\)"):
        spec_of(memory="x", vcpus="y", cmd="z")


def test_duplicates_within_one_sla_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"microservices\[1\]: shop.test.web.test is already at"):
        admitted(sla(microservice(), microservice()))
    both = sla()
    both["applications"] *= 2
    with pytest.raises(InvalidInput, match=r"applications\[1\]: shop.test is already at applications\[0\]"):
        admitted(both)
    fixed = {"rr_ip": "10.30.30.30"}
    with pytest.raises(InvalidInput, match=r"10\.30\.30\.30 is already at"):
        admitted(sla(microservice(addresses=fixed), microservice(microservice_name="db", addresses=fixed)))


def test_constraints_narrow_each_other() -> None:
    spec = spec_of(
        constraints=[
            {"type": "direct", "cluster": "a;b;c", "node": "n1; n2"},
            {"type": "clusters", "allowed": ["b", "c", "d"]},
        ],
        target_node="n2",
    )
    assert spec.constraints == Constraints(clusters=("b", "c"), nodes=("n2",))


def test_more_memory_than_any_machine_has_is_admitted() -> None:
    assert spec_of(memory=10 * 1024 * 1024).resources.memory_mb == 10_485_760


def test_a_one_shot_is_not_restarted_unless_it_asks_to_be() -> None:
    assert spec_of(one_shot=True).restart.mode is RestartMode.NEVER
    assert spec_of(one_shot=True, restart={"mode": "on_failure"}).restart.mode is RestartMode.ON_FAILURE


def test_another_runtime_is_taken_by_its_name() -> None:
    assert spec_of(virtualization="io.containerd.runsc.v1").runtime == "io.containerd.runsc.v1"


def test_a_dash_inside_a_name_is_fine() -> None:
    assert spec_of(microservice_name="web-1").name == "shop.test.web-1.test"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted({*microservice(), "constraints", "ulimits", "restart", "addresses", "devices"})), JSON)
def test_any_value_in_any_field_is_admitted_or_refused_with_a_sentence(name: str, value: Any) -> None:
    try:
        spec_of(**{name: value})
    except InvalidInput as refused:
        assert refused.field.startswith(HERE)
        assert str(refused)


@given(JSON)
def test_any_document_is_admitted_or_refused_with_a_sentence(document: Any) -> None:
    with pytest.raises(InvalidInput):
        admitted(document)


def test_the_longest_variable_and_argument_of_an_sla_travel_over_the_link() -> None:
    longest = "A=" + "x" * (MAX_TEXT - 2)
    (draft,) = admit(parse_sla(sla(microservice(environment=[longest], cmd=[longest]))), "alice")
    document = DesiredService(ServiceId("s1"), 1, 1, draft.services[0].spec)
    assert decode(DesiredService, encode(document)) == document
    with pytest.raises(InvalidInput, match=r"environment\[0\]: must have at most"):
        parse_sla(sla(microservice(environment=[longest + "x"])))
