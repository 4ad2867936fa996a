"""Puts values into boxes for children, as they go into the documents of the link."""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial

from edge_common.model.errors import Broken, InvalidInput
from edge_common.model.values import SealedValue, ValueRef, sealing_context
from edge_common.plumbing.sealing import SealingKey

logger = logging.getLogger(__name__)

MAX_REMEMBERED = 4096
MAX_REMEMBERED_CHARACTERS = 16 * 1024 * 1024

_Key = tuple[str, str, str]


class Sealer:
    """Remembers the last boxes: a document is made anew at each change of its service, its values hardly ever.

    Only boxes are kept in memory, never what is in them.
    """

    def __init__(self, key: SealingKey) -> None:
        self._key = key
        self._boxes: OrderedDict[_Key, SealedValue] = OrderedDict()
        self._characters = 0

    @property
    def public(self) -> str:
        return self._key.public

    def seal_all(
        self, refs: Iterable[ValueRef], recipient: str, open_value: Callable[[ValueRef], bytes]
    ) -> tuple[SealedValue, ...]:
        """What cannot be sealed is left out and logged: its instances wait, all others go on."""
        found = (self._seal(ref, "", recipient, open_value) for ref in refs)
        return tuple(each for each in found if each is not None)

    def seal_on(self, refs: Iterable[ValueRef], held: Iterable[SealedValue], recipient: str) -> tuple[SealedValue, ...]:
        """The same values for a child of ours, from the boxes that our parent sealed for us."""
        ours = {(each.value_id, each.version): each.box for each in held}
        passed_on = []
        for ref in refs:
            box = ours.get((ref.value_id, ref.version))
            if box is not None:
                passed_on.append(self._seal(ref, box, recipient, partial(self._open, box)))
        return tuple(each for each in passed_on if each is not None)

    def _open(self, box: str, ref: ValueRef) -> bytes:
        return self._key.open(box, sealing_context(ref.value_id, ref.version))

    def _seal(
        self, ref: ValueRef, source: str, recipient: str, open_value: Callable[[ValueRef], bytes]
    ) -> SealedValue | None:
        if not recipient:
            return None
        context = sealing_context(ref.value_id, ref.version)
        key = (context, recipient, hashlib.blake2b(source.encode(), digest_size=16).hexdigest())
        known = self._boxes.get(key)
        if known is not None:
            self._boxes.move_to_end(key)
            return known
        try:
            sealed = SealedValue(ref.value_id, ref.version, self._key.seal(open_value(ref), recipient, context))
        except (InvalidInput, Broken) as error:
            logger.error("event=value_not_sealed value=%s version=%d reason=%r", ref.value_id, ref.version, str(error))
            return None
        self._remember(key, sealed)
        return sealed

    def _remember(self, key: _Key, sealed: SealedValue) -> None:
        self._boxes[key] = sealed
        self._characters += len(sealed.box)
        while len(self._boxes) > MAX_REMEMBERED or self._characters > MAX_REMEMBERED_CHARACTERS:
            _, oldest = self._boxes.popitem(last=False)
            self._characters -= len(oldest.box)
