"""Addresses as people write them, and which of them stay within the machine."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether what is sent to, or listens on, this name or address never leaves the machine."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def https_url(text: str, port: int) -> str:
    """A URL as it is; a host name or an address, with or without a port, as the `https://` URL of it."""
    text = text.strip().rstrip("/")
    if "://" in text:
        return text
    try:
        if ipaddress.ip_address(text).version == 6:
            text = f"[{text}]"
    except ValueError:
        pass
    has_port = text.rpartition(":")[2].isdigit() and not text.endswith("]")
    return f"https://{text}" if has_port else f"https://{text}:{port}"
