import configparser
import os
import shlex
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from supervisor.options import ServerOptions

from edge_common.model.errors import Broken, InvalidInput
from hedgerow.machine.broker import give
from hedgerow.machine.files import read_settings, secret, with_settings, write_if_changed
from hedgerow.machine.layout import Layout, Ports, find_layout, ports_file
from hedgerow.machine.prepare import admin_password, prepare
from hedgerow.machine.programs import CONTAINERD, START_ORDER, Facts, Program, programs, service_environment
from hedgerow.machine.remains import mounts_below
from hedgerow.machine.render import containerd_toml, supervisord_conf, systemd_unit

FACTS = Facts(
    python=Path("/venv/bin/python"),
    mosquitto=Path("/usr/sbin/mosquitto"),
    containerd=Path("/usr/bin/containerd"),
    hostname="pi",
    build="abc",
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return find_layout({"HEDGEROW_HOME": str(tmp_path)})


def test_the_defaults_are_the_system_s_directories_and_oakestra_s_ports() -> None:
    layout = find_layout({"HOME": "/root"})
    assert (layout.config, layout.data) == (Path("/etc/hedgerow"), Path("/var/lib/hedgerow"))
    assert layout.session == Path("/root/.config/hedgerow/session.json")
    assert layout.ports == Ports(api=10000, mqtt=10003, cluster=10100)


def test_chosen_ports_win_over_the_base_and_are_remembered(tmp_path: Path) -> None:
    environ = {"HEDGEROW_HOME": str(tmp_path)}
    layout = find_layout({**environ, "HEDGEROW_PORT_BASE": "20000"}, api=20500)
    assert layout.ports == Ports(api=20500, mqtt=20003, cluster=20100, cluster_mqtt=20103)
    prepare(layout, environ)
    assert find_layout(environ).ports == layout.ports


@pytest.mark.parametrize(
    ("environ", "ports", "field"),
    [
        ({"HEDGEROW_PORT_BASE": "many"}, {}, "HEDGEROW_PORT_BASE"),
        ({"HEDGEROW_PORT_BASE": "65500"}, {}, "cluster_port"),
        ({}, {"api": 0}, "api_port"),
        ({}, {"api": 10003}, "mqtt_port"),
        ({"HEDGEROW_HOME": "/" + "x" * 100}, {}, "HEDGEROW_HOME"),
    ],
)
def test_impossible_layouts_name_what_is_wrong(environ: dict[str, str], ports: dict[str, int], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        find_layout(environ, **ports)
    assert refused.value.field == field


def test_a_damaged_ports_file_says_what_to_do(layout: Layout) -> None:
    write_if_changed(ports_file(layout), "{}")
    with pytest.raises(Broken, match="delete it"):
        find_layout({"HEDGEROW_HOME": str(layout.config.parent)})


def test_preparing_twice_changes_nothing(layout: Layout) -> None:
    assert prepare(layout, {}) == {"mosquitto", "containerd"}
    before = {path: path.read_bytes() for path in layout.config.rglob("*") if path.is_file()}
    assert prepare(layout, {}) == frozenset()
    assert {path: path.read_bytes() for path in layout.config.rglob("*") if path.is_file()} == before


def test_secrets_are_for_root_alone(layout: Layout) -> None:
    prepare(layout, {"HEDGEROW_ADMIN_PASSWORD": "given"})
    modes = {path.name: path.stat().st_mode & 0o777 for path in layout.secrets.iterdir()}
    assert modes == {"mqtt-root": 0o600, "mqtt-cluster": 0o600}
    assert layout.secrets.stat().st_mode & 0o777 == 0o700
    assert layout.admin_password_file.stat().st_mode & 0o777 == 0o600
    assert admin_password(layout, {}) == "given"


def test_a_password_given_later_is_not_kept(layout: Layout) -> None:
    prepare(layout, {})
    (layout.data_of("root") / "store.db").touch()
    prepare(layout, {"HEDGEROW_ADMIN_PASSWORD": "late"})
    assert not layout.admin_password_file.exists()


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "below" / "secret"
    assert secret(path) == secret(path)
    assert len(secret(path)) >= 32


def test_only_a_change_is_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_if_changed(path, "a", 0o600)
    assert not write_if_changed(path, "a", 0o600)
    assert write_if_changed(path, "a", 0o644)
    assert write_if_changed(path, "b", 0o644)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_settings_of_the_operator_win_and_stay_with_their_service(layout: Layout) -> None:
    facts = replace(FACTS, settings={"HEDGEROW_NODE_NAME": "barn", "HEDGEROW_ROOT_HTTP_HOST": "0.0.0.0"})
    assert service_environment("node", layout, facts)["HEDGEROW_NODE_NAME"] == "barn"
    root = service_environment("root", layout, facts)
    assert root["HEDGEROW_ROOT_HTTP_HOST"] == "0.0.0.0"
    assert "HEDGEROW_NODE_NAME" not in root


def test_settings_are_changed_in_place_or_added(tmp_path: Path) -> None:
    path = tmp_path / "settings.env"
    path.write_text(with_settings("# why\nA=1\n\nB=2\n", {"B": "3", "C": "4"}))
    assert path.read_text() == "# why\nA=1\n\nB=3\nC=4\n"
    assert read_settings(path) == {"A": "1", "B": "3", "C": "4"}


def test_a_line_that_is_no_setting_is_named(tmp_path: Path) -> None:
    path = tmp_path / "settings.env"
    path.write_text("A=1\nB 2\n")
    with pytest.raises(InvalidInput, match="Line 2"):
        read_settings(path)


def test_containerd_keeps_to_its_own_directories(layout: Layout) -> None:
    config = tomllib.loads(containerd_toml(layout))
    assert config["root"] == str(layout.data / CONTAINERD)
    assert config["grpc"]["address"] == str(layout.run / "containerd.sock")
    assert "io.containerd.grpc.v1.cri" in config["disabled_plugins"]


def test_supervisord_understands_what_is_written_for_it(layout: Layout) -> None:
    rendered = programs(layout, FACTS)
    prepare(layout, {})
    config = layout.config / "supervisord.conf"
    config.write_text(supervisord_conf(layout, rendered))
    options = ServerOptions()
    options.realize(["-c", str(config)])
    understood = {group.process_configs[0].name: group.process_configs[0] for group in options.process_group_configs}
    assert list(understood) == list(START_ORDER)
    for program in rendered:
        process = understood[program.name]
        assert shlex.split(process.command) == list(program.argv)
        assert process.environment == dict(program.environment)
        assert process.killasgroup != program.spares_children
    assert [server["family"] for server in options.server_configs] == [1]
    assert options.server_configs[0]["chmod"] == 0o600


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\'\"")))
def test_any_printable_value_reaches_a_supervised_program(value: str) -> None:
    from supervisor.datatypes import dict_of_key_value_pairs

    assume(" #" not in value and " ;" not in value)
    layout = find_layout({"HEDGEROW_HOME": "/home"})
    text = supervisord_conf(layout, [Program("root", ("/bin/true", value or "x"), {"A": value, "B": "2"})])
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(text)
    section = parser["program:root"]
    environment = dict_of_key_value_pairs(section["environment"] % {})
    assert environment["B"] == "2"
    assert environment["A"] == value


@pytest.mark.parametrize("value", ["a\nb", 'it\'s "quoted"', "back\\slash", "a #b", "a ;b"])
def test_what_supervisor_cannot_carry_is_refused(layout: Layout, value: str) -> None:
    with pytest.raises(InvalidInput):
        supervisord_conf(layout, [Program("root", ("/bin/true",), {"A": value})])


def test_a_unit_restarts_for_ever_and_spares_containers(layout: Layout) -> None:
    units = {program.name: systemd_unit(layout, program) for program in programs(layout, FACTS)}
    assert all("Restart=always\n" in unit and "StartLimitIntervalSec=0\n" in unit for unit in units.values())
    assert "KillMode=process\n" in units["containerd"]
    assert "KillMode=mixed\n" in units["root"]


def test_special_characters_reach_a_unit(layout: Layout) -> None:
    unit = systemd_unit(layout, Program("root", ("/bin/x", "$HOME 5%"), {"A": 'say "$x" 5%'}))
    assert 'ExecStart="/bin/x" "$$HOME 5%%"\n' in unit
    assert 'Environment="A=say \\"$x\\" 5%%"\n' in unit


def test_mounts_are_undone_from_the_deepest_up(layout: Layout) -> None:
    run, data = layout.run, layout.data
    points = [run / "c", run / "c" / "a b" / "rootfs", data / "x", Path("/elsewhere"), Path(f"{run}-not")]
    mountinfo = "".join(
        f"1 2 0:3 / {str(point).replace(' ', chr(92) + '040')} rw - tmpfs tmpfs rw\n" for point in points
    )
    assert mounts_below(layout, mountinfo) == [points[1], points[0], points[2]]


def test_the_mosquitto_files_belong_to_whom_it_runs_as(layout: Layout) -> None:
    prepare(layout, {})
    user = next(line for line in (layout.config / "mosquitto.conf").read_text().splitlines() if line.startswith("user"))
    owner = (layout.data_of("mosquitto") / "dynamic-security.json").stat().st_uid
    assert (user == "user root") == (owner == os.getuid())


def test_a_link_in_the_broker_s_directory_leads_to_no_other_file(tmp_path: Path) -> None:
    """One that leads nowhere shows whether links are followed, also to who is not root."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    give(tmp_path, os.getuid(), os.getgid())
    assert (tmp_path / "link").lstat().st_uid == os.getuid()
