"""The mass-loss brake: when most children vanish at once, it is more likely our own link that broke."""

import logging
from collections.abc import Collection

from edge_common.model.node import ChildHealth

logger = logging.getLogger(__name__)

BRAKE_MIN_CHILDREN = 3
BRAKE_S = 30.0
"""How long replacements are held back. After that the children are believed to be gone."""


def is_mass_loss(child_count: int, unheard_s: list[float]) -> bool:
    """`unheard_s`: for each child that is not there, for how long. True while more than half went away just now.

    Those that are believed to be gone count neither as gone nor as there.
    """
    fresh = sum(seconds < BRAKE_S for seconds in unheard_s)
    recent = child_count - (len(unheard_s) - fresh)
    return recent >= BRAKE_MIN_CHILDREN and fresh * 2 > recent


class Brake:
    """Remembers whether replacements are held back now, and says when that changes."""

    def __init__(self) -> None:
        self.is_on = False

    def check(self, child_count: int, unready: Collection[ChildHealth]) -> bool:
        """Whether it was let go just now: what was held back is to be decided again."""
        was_on, self.is_on = self.is_on, is_mass_loss(child_count, [each.unheard_s for each in unready])
        if self.is_on and not was_on:
            logger.warning("event=mass_loss away=%d of=%d: replacements are held back", len(unready), child_count)
        elif was_on and not self.is_on:
            logger.info("event=mass_loss_over")
        return was_on and not self.is_on
