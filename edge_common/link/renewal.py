"""The child's certificate: renewed over the live link when half of its life is over."""

import logging
from typing import Protocol

from edge_common.link.identity import IdentityFiles
from edge_common.model.errors import HedgerowError
from edge_common.plumbing.clock import Clock

logger = logging.getLogger(__name__)

CERTIFICATE = "certificate"
"""The kind of request that brings a new one."""
ASK_AGAIN_S = 300.0


class Renewal(Protocol):
    def csr(self) -> str:
        """To be put into the report that is about to go; "" when there is nothing to renew."""

    def take(self, certificate: str) -> None:
        """Keep it, for the next connection. Raises Broken for one that is not ours."""


class CertificateRenewal:
    """A `Renewal` over the files of an identity. What the parent does not answer is asked again."""

    def __init__(self, files: IdentityFiles, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._asked_s = float("-inf")
        identity = files.load()
        self._due_s = float("inf")
        if identity is not None:
            self._note(identity.certificate_starts_s, identity.certificate_ends_s)

    def csr(self) -> str:
        if self._clock.now_s() < self._due_s or self._clock.monotonic_s() < self._asked_s + ASK_AGAIN_S:
            return ""
        self._asked_s = self._clock.monotonic_s()
        try:
            return self._files.key().make_csr()
        except (HedgerowError, OSError) as error:
            logger.error("event=certificate_not_asked_for reason=%r", str(error))
            return ""

    def take(self, certificate: str) -> None:
        identity = self._files.keep_certificate(certificate)
        self._note(identity.certificate_starts_s, identity.certificate_ends_s)
        logger.info("event=certificate_renewed child=%s ends_s=%.0f", identity.child_id, identity.certificate_ends_s)

    def _note(self, starts_s: float, ends_s: float) -> None:
        self._due_s = starts_s + (ends_s - starts_s) / 2
