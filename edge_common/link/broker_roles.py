"""What each kind of user may do on a broker, in the words of mosquitto's dynamic-security plug-in."""

from typing import Any, TypeAlias

from edge_common.model.ids import ChildId
from edge_common.wire import topics

Acl: TypeAlias = dict[str, Any]

CONTROL_TOPIC = "$CONTROL/dynamic-security/v1"
CONTROL_ANSWERS = f"{CONTROL_TOPIC}/response"
PARENT_ROLE = "hedgerow-parent"
DENY_BY_DEFAULT = {
    "publishClientSend": False,
    "publishClientReceive": False,
    "subscribe": False,
    "unsubscribe": False,
}


def child_role(child: ChildId) -> str:
    return f"hedgerow-child-{child}"


def child_acls(child: ChildId) -> list[Acl]:
    """A child says what it observes and hears what it is to do; not even its own `desired` may it write."""
    heard = topics.heard_by_child(child)
    return [
        *(_allow("publishClientSend", topic) for topic in topics.heard_by_parent(child)),
        *(_allow("publishClientReceive", topic) for topic in heard),
        *(_allow("subscribePattern", topic) for topic in heard),
        *(_allow("unsubscribePattern", topic) for topic in heard),
    ]


def parent_acls() -> list[Acl]:
    kinds = ("publishClientSend", "publishClientReceive", "subscribePattern", "unsubscribePattern")
    return [_allow(kind, topic) for topic in (topics.ALL_LINKS, "$CONTROL/dynamic-security/#") for kind in kinds]


def _allow(kind: str, topic: str) -> Acl:
    return {"acltype": kind, "topic": topic, "allow": True}
