"""What the root is told of an instance: the node's own words under the root's id, or why no node has it yet."""

from dataclasses import replace

from edge_common.model.ids import NodeId
from edge_common.model.instance import Assignment, Observation, as_origin
from edge_common.model.lifecycle import Reason, State
from edge_common.model.node import NodeInfo


def upward(assignment: Assignment, observation: Observation | None, node: NodeInfo | None) -> Observation:
    if observation is not None:
        said = as_origin(observation, assignment)
    else:
        state = State.NODE_SCHEDULED if assignment.is_placed else State.CLUSTER_SCHEDULED
        said = Observation(
            assignment.origin_id,
            assignment.service_id,
            assignment.instance_number,
            state,
            assignment.succession,
            changed_at_s=assignment.since_s,
        )
    if assignment.reason is not Reason.NONE and not said.is_terminal:
        said = replace(said, reason=assignment.reason, detail=assignment.detail)
    if node is not None:
        said = replace(said, node_id=NodeId(node.node_id), node_name=node.name, address=said.address or node.address)
    return said


def last_word(assignment: Assignment, state: State, observation: Observation | None, now_s: float) -> Observation:
    """What the root hears of an instance that is gone."""
    if observation is not None and observation.state is state:
        return as_origin(observation, assignment)
    return Observation(
        assignment.origin_id,
        assignment.service_id,
        assignment.instance_number,
        state,
        assignment.succession,
        attempt=observation.attempt if observation else 0,
        changed_at_s=now_s,
    )
