"""`NodeEngine join`: what the pasted line does."""

import socket
from collections.abc import Iterator, Mapping

from edge_common.link.join import Waiting, join
from edge_common.link.token_text import parse_token
from edge_common.model.errors import Conflict, Temporary
from edge_common.plumbing.files import write_secret
from edge_common.plumbing.sealing import load_or_make_sealing_key
from edge_common.plumbing.settings import load
from edge_common.wire.join_messages import ChildKind
from node_engine.adapters.cluster_address import dialled_url
from node_engine.adapters.settings_file import Places, read_settings, write_settings
from node_engine.adapters.units import Unit
from node_engine.commands.control import own_command, runs_as_unit
from node_engine.commands.member import read_member
from node_engine.commands.typed import JoinLine
from node_engine.settings import PREFIX, Settings


def join_cluster(asked: JoinLine, environ: Mapping[str, str], places: Places, unit: Unit) -> Iterator[str]:
    """Asks once. A refusal leaves the machine as it was. A cluster that does not answer is tried again by the engine.

    Raises the parent's refusal; Temporary when it did not answer, after the engine was started.
    """
    _refuse_second_node(places)
    kept = read_settings(places.settings_file) | asked.settings()
    settings = load(Settings, {**places.defaults, **environ, **kept}, PREFIX)
    settings.label_pairs()
    _refuse_other_cluster(settings, asked.token)
    has_silent_parent: Temporary | None = None
    try:
        yield from _ask(settings, asked.token)
        places.token_file.unlink(missing_ok=True)
    except Temporary as error:
        has_silent_parent = error
        if asked.token:
            write_secret(places.token_file, f"{asked.token}\n")
            kept |= {f"{PREFIX}JOIN_TOKEN_FILE": str(places.token_file)}
    write_settings(places.settings_file, kept)
    if not asked.is_foreground:
        yield _start(places, unit)
    if has_silent_parent is not None:
        raise Temporary(f"{str(has_silent_parent).rstrip('.')}. The engine goes on trying when it runs.")


def _ask(settings: Settings, token: str) -> Iterator[str]:
    name = settings.name or socket.gethostname()
    url = dialled_url(settings.parent_url)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        identity = join(url, token, ChildKind.NODE, name, settings.data_dir, {})
    except Waiting as waiting:
        yield str(waiting)
    else:
        load_or_make_sealing_key(settings.sealing_key_file)
        yield f"{name} is a node of {identity.parent_name} at {url}."
    member = read_member(settings)
    if member is not None:
        yield f"its id:             {member.child_id}"
        yield f"its key:            {member.key_fingerprint}"
        yield f"the cluster's CA:   {member.ca_fingerprint}"


def _start(places: Places, unit: Unit) -> str:
    if not runs_as_unit(places, unit):
        return f"No systemd starts the engine here; start it with: {' '.join(own_command())}"
    unit.start(own_command())
    return "The engine runs as the unit hedgerow-node, also after a reboot; `NodeEngine status` shows how it is."


def _refuse_second_node(places: Places) -> None:
    ports = places.settings_file.with_name("ports.json")
    if ports.exists():
        raise Conflict(
            f"`hedgerow up` runs a node on this machine already ({ports} is its); run `hedgerow down --purge` first, "
            "or join from another machine."
        )


def _refuse_other_cluster(settings: Settings, token: str) -> None:
    member = read_member(settings)
    pin = parse_token(token).ca_fingerprint if token else ""
    if member is not None and member.is_admitted and pin not in {"", member.ca_fingerprint}:
        raise Conflict(
            f"This machine is a node of {member.parent_name}, and the token is for another cluster; "
            "run `NodeEngine leave` first."
        )
