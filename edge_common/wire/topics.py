"""The only place that spells MQTT topics: one subtree a child."""

from enum import StrEnum

from edge_common.model.ids import ChildId, ServiceId, is_id

PREFIX = "hedgerow/v1/link"
ALL_LINKS = f"{PREFIX}/#"


class Kind(StrEnum):
    """What a topic carries; the value is its last word."""

    DESIRED_SERVICE = "desired/"
    DESIRED = "desired"
    REPORT = "report"
    PRESENCE = "presence"
    REQUEST = "request"
    RESPONSE = "response"


def desired_service(child: ChildId, service: ServiceId) -> str:
    return f"{PREFIX}/{child}/desired/{service}"


def desired(child: ChildId) -> str:
    return f"{PREFIX}/{child}/desired"


def report(child: ChildId) -> str:
    return f"{PREFIX}/{child}/report"


def presence(child: ChildId) -> str:
    return f"{PREFIX}/{child}/presence"


def request(child: ChildId) -> str:
    return f"{PREFIX}/{child}/request"


def response(child: ChildId) -> str:
    return f"{PREFIX}/{child}/response"


def all_desired(child: ChildId) -> str:
    """The filter that matches the child's manifest and all its service documents."""
    return f"{PREFIX}/{child}/desired/#"


def heard_by_child(child: ChildId) -> tuple[str, ...]:
    """The filters that a child subscribes to."""
    return (all_desired(child), request(child))


def heard_by_parent(child: ChildId) -> tuple[str, ...]:
    """The filters that a parent subscribes to for one child; on a shared broker it hears nobody else's children."""
    return (report(child), presence(child), response(child))


def parse(topic: str) -> tuple[ChildId, Kind, ServiceId | None] | None:
    """None for whatever is no topic of a link."""
    if not topic.startswith(PREFIX + "/"):
        return None
    child, _, rest = topic[len(PREFIX) + 1 :].partition("/")
    if not is_id(child):
        return None
    if rest.startswith(Kind.DESIRED_SERVICE):
        service = rest.removeprefix(Kind.DESIRED_SERVICE)
        return (ChildId(child), Kind.DESIRED_SERVICE, ServiceId(service)) if is_id(service) else None
    try:
        return ChildId(child), Kind(rest), None
    except ValueError:
        return None
