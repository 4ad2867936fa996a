"""The mass-loss brake: when most children vanish at once, it is more likely our own link that broke."""

BRAKE_MIN_CHILDREN = 3
BRAKE_S = 30.0
"""How long replacements are held back. After that the children are believed to be gone."""


def is_mass_loss(child_count: int, unheard_s: list[float]) -> bool:
    """`unheard_s`: for each child that is not there, for how long. True while more than half are away, and freshly."""
    fresh = [seconds for seconds in unheard_s if seconds < BRAKE_S]
    return child_count >= BRAKE_MIN_CHILDREN and len(unheard_s) * 2 > child_count and bool(fresh)
