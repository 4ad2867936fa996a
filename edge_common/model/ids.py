"""The kinds of identity. All are opaque strings, safe in a topic, a path and a container's name."""

import re
from typing import NewType

ApplicationId = NewType("ApplicationId", str)
ServiceId = NewType("ServiceId", str)
InstanceId = NewType("InstanceId", str)
ClusterId = NewType("ClusterId", str)
NodeId = NewType("NodeId", str)
ChildId = NewType("ChildId", str)
"""A cluster as its root sees it, or a node as its cluster sees it: whatever is at the lower end of a link."""

NO_CHILD = ChildId("")

ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def is_id(text: str) -> bool:
    """Whether `text` may be used as an id: lower-case letters, digits and dashes, at most 64."""
    return ID_PATTERN.fullmatch(text) is not None
