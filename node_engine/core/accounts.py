"""Who a container runs as: `user[:group]`, by number or by the names in the image's own /etc/passwd and /etc/group."""

from edge_common.model.errors import InvalidInput
from node_engine.core.container_spec import Identity

_MAX_ID = 2**31 - 1


def needs_files(user: str) -> bool:
    return user not in {"", "0", "0:0"}


def resolve(user: str, passwd: str = "", group: str = "") -> Identity:
    """Raises InvalidInput for a name that the image does not know. "" is root."""
    if not needs_files(user):
        return Identity()
    wanted_user, has_group, wanted_group = user.partition(":")
    entry = _find(passwd, wanted_user, 7)
    if entry is not None:
        uid, gid, name, home = _number(entry[2]), _number(entry[3]), entry[0], entry[5] or "/"
    elif wanted_user.isdigit():
        uid, gid, name, home = _number(wanted_user), 0, "", "/"
    else:
        raise InvalidInput(f"The image has no user {wanted_user!r} in /etc/passwd.", "user")
    if has_group:
        return Identity(uid, _group(group, wanted_group), (), home)
    return Identity(uid, gid, _groups_of(group, name), home)


def _group(group: str, wanted: str) -> int:
    entry = _find(group, wanted, 4)
    if entry is not None:
        return _number(entry[2])
    if wanted.isdigit():
        return _number(wanted)
    raise InvalidInput(f"The image has no group {wanted!r} in /etc/group.", "user")


def _groups_of(group: str, name: str) -> tuple[int, ...]:
    rows = (line.split(":") for line in group.splitlines())
    return tuple(_number(row[2]) for row in rows if len(row) >= 4 and name and name in row[3].split(","))


def _find(table: str, wanted: str, columns: int) -> list[str] | None:
    """The row whose name or number is `wanted`."""
    rows = [row for line in table.splitlines() if len(row := line.split(":")) >= columns]
    for column in (0, 2):
        for row in rows:
            if row[column] == wanted:
                return row
    return None


def _number(text: str) -> int:
    if not text.isdigit() or int(text) > _MAX_ID:
        raise InvalidInput(f"{text[:20]!r} is no user or group number.", "user")
    return int(text)
