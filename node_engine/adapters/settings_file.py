"""The node's settings on disk: lines NAME=VALUE below the environment, which wins."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_common.model.errors import Broken, InvalidInput
from edge_common.plumbing.files import write_secret
from node_engine.settings import PREFIX

HOME_VARIABLE = "HEDGEROW_HOME"
MACHINE_VARIABLE = "HEDGEROW_MACHINE"
"""Set by `hedgerow up` for its own node, which has all its settings from there."""
_HEAD = "# The settings of this node; the environment wins. See docs/configuration.md.\n"


@dataclass(frozen=True, slots=True)
class Places:
    """`defaults` are the settings that are another than the engine's own because all is below HEDGEROW_HOME."""

    settings_file: Path
    token_file: Path
    defaults: Mapping[str, str]
    is_private: bool = False


def find_places(environ: Mapping[str, str]) -> Places:
    given = environ.get(HOME_VARIABLE)
    if not given:
        return _places(Path("/etc/hedgerow"), {})
    home = Path(given).absolute()
    defaults = {f"{PREFIX}DATA_DIR": home / "data" / "node", f"{PREFIX}LOG_DIR": home / "logs" / "instances"}
    return _places(home / "config", {name: str(path) for name, path in defaults.items()}, is_private=True)


def _places(config: Path, defaults: Mapping[str, str], *, is_private: bool = False) -> Places:
    return Places(config / "node.env", config / "secrets" / "node-join-token", defaults, is_private)


def effective(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment over the settings file. Raises Broken for a line of the file that is none."""
    if MACHINE_VARIABLE in environ:
        return dict(environ)
    places = find_places(environ)
    return {**places.defaults, **read_settings(places.settings_file), **environ}


def read_settings(file: Path) -> dict[str, str]:
    """Empty when there is no file, or when only root may read it. Raises Broken for a line that is no setting."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (FileNotFoundError, PermissionError):
        return {}
    except UnicodeDecodeError:
        raise Broken(f"{file} is not text; write it anew.") from None
    settings: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().startswith(PREFIX):
            raise Broken(f"Line {number} of {file} is no {PREFIX}NAME=VALUE; correct it.")
        settings[name.strip()] = _unquoted(value.strip())
    return settings


def write_settings(file: Path, settings: Mapping[str, str]) -> None:
    """Replaces the file. Raises InvalidInput for a value that a line cannot carry."""
    for name, value in settings.items():
        if value != _unquoted(value.strip()) or not value.isprintable():
            raise InvalidInput(f"{value!r} has quotes or spaces at its ends, or a line break; change it.", name)
    lines = (f"{name}={value}\n" for name, value in sorted(settings.items()))
    write_secret(file, _HEAD + "".join(lines))


def _unquoted(value: str) -> str:
    is_quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value
