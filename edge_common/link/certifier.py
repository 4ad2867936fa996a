"""The parent's answer to a child that wants another certificate."""

import logging
from collections.abc import Callable

from edge_common.link.renewal import CERTIFICATE
from edge_common.model.errors import HedgerowError
from edge_common.model.ids import ChildId
from edge_common.wire.messages import Request

logger = logging.getLogger(__name__)

CERTIFY_GAP_S = 30.0
"""A child gets a new certificate at most this often."""

Certify = Callable[[ChildId, str], str]
"""A certificate in PEM for a child and its signing request. Raises InvalidInput for another's key."""


class Certifier:
    def __init__(self, certify: Certify | None) -> None:
        self._certify = certify
        self._asked_s: dict[ChildId, float] = {}

    def answer(self, child_id: ChildId, csr: str, now_s: float) -> Request | None:
        """None for what cannot be signed: that does not make the rest of a report worthless."""
        if self._certify is None or now_s < self._asked_s.get(child_id, float("-inf")) + CERTIFY_GAP_S:
            return None
        self._asked_s[child_id] = now_s
        try:
            certificate = self._certify(child_id, csr)
        except HedgerowError as error:
            logger.warning("event=certificate_not_renewed child=%s reason=%r", child_id, str(error))
            return None
        logger.info("event=certificate_renewed child=%s", child_id)
        return Request("", CERTIFICATE, {"certificate": certificate})

    def forget(self, child_id: ChildId) -> None:
        self._asked_s.pop(child_id, None)
