"""The configuration of the parts that are not ours, as text."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from edge_common.model.errors import InvalidInput
from hedgerow.machine.layout import Layout
from hedgerow.machine.programs import CONTAINERD, START_ORDER, Program

_LOG_MAX_BYTES = 10 * 1024 * 1024
_LOG_BACKUPS = 2
_FOR_EVER = 1_000_000_000
_INLINE_COMMENT = re.compile(r"\s[;#]")

# Unknown names are ignored, so this lists those of containerd 1.6 to 2.x: what only Kubernetes or other disks need,
# and what would write outside of our own directories.
_UNUSED_CONTAINERD_PLUGINS = (
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
    "io.containerd.nri.v1.nri",
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
)


def containerd_toml(layout: Layout) -> str:
    disabled = ",\n".join(f'  "{name}"' for name in _UNUSED_CONTAINERD_PLUGINS)
    return (
        "version = 2\n"
        f"root = {_toml(layout.data_of(CONTAINERD))}\n"
        f"state = {_toml(layout.run / CONTAINERD)}\n"
        f"disabled_plugins = [\n{disabled},\n]\n\n"
        "[grpc]\n"
        f"  address = {_toml(layout.containerd_socket)}\n\n"
        "[debug]\n"
        '  level = "info"\n'
    )


def supervisord_conf(layout: Layout, programs: Iterable[Program]) -> str:
    sections = [
        _section(
            "supervisord",
            {
                "logfile": layout.logs / "supervisord.log",
                "logfile_maxbytes": _LOG_MAX_BYTES,
                "logfile_backups": _LOG_BACKUPS,
                "pidfile": layout.run / "supervisord.pid",
                "directory": layout.data,
                "identifier": "hedgerow",
                "minfds": 1024,
                "umask": "022",
            },
        ),
        _section("unix_http_server", {"file": layout.supervisor_socket, "chmod": "0600"}),
        _section(
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        *(_supervised(layout, program) for program in programs),
    ]
    return "\n".join(sections)


def systemd_unit(layout: Layout, program: Program) -> str:
    """Restarts for ever: without StartLimitIntervalSec=0 systemd gives up after five quick deaths."""
    environment = "".join(f"Environment={_systemd_quoted(f'{k}={v}')}\n" for k, v in program.environment.items())
    command = " ".join(_systemd_quoted(word).replace("$", "$$") for word in program.argv)
    return (
        "[Unit]\n"
        f"Description=Hedgerow: {program.name}\n"
        "After=local-fs.target network.target\n"
        "StartLimitIntervalSec=0\n\n"
        "[Service]\n"
        f"ExecStart={command}\n"
        f"{environment}"
        f"WorkingDirectory={layout.data}\n"
        "Restart=always\n"
        "RestartSec=1\n"
        f"KillMode={'process' if program.spares_children else 'mixed'}\n"
        f"TimeoutStopSec={program.stop_wait_s}\n"
        "Delegate=yes\n"
        "LimitNOFILE=1048576\n"
        "TasksMax=infinity\n"
        "OOMScoreAdjust=-900\n\n"
        "[Install]\n"
        "WantedBy=multi-user.target\n"
    )


def _supervised(layout: Layout, program: Program) -> str:
    # What dies after its first second is started again at once; what dies within it waits one second longer each
    # time (so a minute after half an hour) and is never given up.
    children = "false" if program.spares_children else "true"
    return _section(
        f"program:{program.name}",
        {
            "command": " ".join(_supervisor_word(word) for word in program.argv),
            "environment": ",".join(f"{key}={_supervisor_value(v)}" for key, v in program.environment.items()),
            "priority": 10 * (1 + START_ORDER.index(program.name)),
            "autostart": "true",
            "autorestart": "true",
            "startsecs": 1,
            "startretries": _FOR_EVER,
            "stopsignal": "TERM",
            "stopwaitsecs": program.stop_wait_s,
            "stopasgroup": "false",
            "killasgroup": children,
            "redirect_stderr": "true",
            "stdout_logfile": layout.logs / f"{program.name}.log",
            "stdout_logfile_maxbytes": _LOG_MAX_BYTES,
            "stdout_logfile_backups": _LOG_BACKUPS,
        },
    )


def _section(name: str, settings: Mapping[str, object]) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {_percent(str(value), key)}\n" for key, value in settings.items())


def _percent(text: str, key: str) -> str:
    # command and environment are escaped word by word already.
    return text if key in {"command", "environment"} else text.replace("%", "%%")


def _supervisor_word(word: str) -> str:
    return _supervisor_value(word) if set(word) & set(" \"'%;#\\") else word


def _supervisor_value(value: str) -> str:
    """supervisor reads its values with shlex, which knows quotes but no escapes, and strips all quotes at the ends."""
    quote = "'" if '"' in value else '"'
    is_carried = value.isprintable() and value == value.strip("\"'") and quote not in value and "\\" not in value
    if not is_carried or _INLINE_COMMENT.search(value):
        raise InvalidInput(
            f"{value!r} has quotes, backslashes, ' #' or ' ;', which cannot be given to a service; change it."
        )
    return quote + value.replace("%", "%%") + quote


def _systemd_quoted(text: str) -> str:
    if not text.isprintable():
        raise InvalidInput(f"{text!r} has characters that cannot be given to a service; change it.")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _toml(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
