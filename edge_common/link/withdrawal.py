"""Which withdrawn instances are surely gone: pure, from what a child acknowledged and what it did not mention.

A child reports an instance no later than it acknowledges the next revision. So once it acknowledged the document that
no longer names an instance, and never said a word of it, it never had it; and what a full report does not mention, it
does not have.
"""

from collections.abc import Callable, Collection, Iterable

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.instance import Assignment


def gone(
    stopping: Iterable[Assignment],
    *,
    observed: Collection[InstanceId],
    reported: Collection[InstanceId],
    is_full: bool,
    acked_revision: int,
    withdrawn_at: Callable[[ServiceId], int | None],
) -> list[Assignment]:
    """`withdrawn_at`: the revision at which a service's document dropped them; None while that was not sent yet."""
    result = []
    for assignment in stopping:
        revision = withdrawn_at(assignment.service_id)
        if revision is None or acked_revision < revision or assignment.instance_id in reported:
            continue
        if is_full or assignment.instance_id not in observed:
            result.append(assignment)
    return result
