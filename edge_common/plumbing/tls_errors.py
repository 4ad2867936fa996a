"""What a failure of TLS means, for the person who has to act on it."""

import ssl
from datetime import UTC, datetime

_ALERTS = {
    "CERTIFICATE_EXPIRED": "our certificate has expired",
    "CERTIFICATE_REVOKED": "our certificate is revoked",
    "CERTIFICATE_REQUIRED": "it wants a certificate and we have shown none",
    "UNKNOWN_CA": "our certificate is of another CA than its own",
    "BAD_CERTIFICATE": "it does not accept our certificate",
    "CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "UNSUPPORTED_CERTIFICATE": "it does not accept our certificate",
    "DECRYPT_ERROR": "our certificate is of another CA than its own",
    "ACCESS_DENIED": "it does not accept our certificate",
    "HANDSHAKE_FAILURE": "it wants a certificate and we have shown none, or it speaks no TLS that we know",
}
"""By the end of OpenSSL's name of the alert. Only a server that checks certificates sends one of these."""
_EXPIRED, _NOT_YET_VALID, _WRONG_NAME = 10, 9, 62
_STRANGER = "its certificate is not of the CA that we trust, so it is not ours and was told nothing"


def is_refusal(error: BaseException) -> bool:
    """Whether the other side turned down our certificate, or the lack of one: a new one may help."""
    return _alert(error) is not None


def explain(error: BaseException, peer: str) -> str:
    """A sentence. `peer`: who was dialled, as its subject ("The broker at 10.0.0.1:8883")."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{peer} cannot be trusted: {_distrust(error)} ({error.verify_message})."
    alert = _alert(error)
    if alert is not None:
        return f"{peer} refused us: {alert}."
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}:
        return f"{peer} does not speak TLS on this port."
    if isinstance(error, (ssl.SSLEOFError, ConnectionResetError)):
        return f"{peer} hung up during the TLS handshake; does it speak TLS on this port?"
    return f"{peer} is unreachable: {error}."


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    if error.verify_code == _EXPIRED:
        return f"its certificate has expired; is our clock right, which says {today}?"
    if error.verify_code == _NOT_YET_VALID:
        return f"its certificate is not valid yet; is our clock right, which says {today}?"
    if error.verify_code == _WRONG_NAME:
        return "its certificate is not that of a parent"
    return _STRANGER


def _alert(error: BaseException) -> str | None:
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if "ALERT" not in reason:
        return None
    return next((words for name, words in _ALERTS.items() if reason.endswith(name)), None)
