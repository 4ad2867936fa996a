"""Which withdrawn instances are surely gone: pure, from what a child acknowledged and what it did not mention.

A child reports an instance no later than it acknowledges the next revision. So once it acknowledged the document that
no longer names an instance, and said no word of it in or since its last full report, it does not have it. Its last word
of an instance may get lost; that silence does not.
"""

from collections.abc import Callable, Collection, Iterable

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.instance import Assignment


def gone(
    stopping: Iterable[Assignment],
    *,
    held: Collection[InstanceId],
    acked_revision: int,
    withdrawn_at: Callable[[ServiceId], int | None],
) -> list[Assignment]:
    """`held` are those of which the child said a word in or since its last full report.

    `withdrawn_at`: the revision at which a service's document dropped them; None while that was not sent yet.
    """
    result = []
    for assignment in stopping:
        revision = withdrawn_at(assignment.service_id)
        if revision is not None and acked_revision >= revision and assignment.instance_id not in held:
            result.append(assignment)
    return result
