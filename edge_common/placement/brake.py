"""The mass-loss brake: when most children vanish at once, it is more likely our own link that broke."""

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
