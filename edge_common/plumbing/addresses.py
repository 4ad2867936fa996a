"""Which addresses stay within the machine."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether what is sent to, or listens on, this name or address never leaves the machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
