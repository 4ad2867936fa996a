"""Where a tier's own machine asks it how it is."""

import pytest

from edge_common.link.tier_commands import own_url


@pytest.mark.parametrize(
    ("host", "tls", "url"),
    [
        ("127.0.0.1", "auto", "http://127.0.0.1:10100"),
        ("127.0.0.1", "on", "https://127.0.0.1:10100"),
        ("localhost", "auto", "http://localhost:10100"),
        ("::1", "auto", "http://[::1]:10100"),
        ("0.0.0.0", "auto", "https://127.0.0.1:10100"),
        ("::", "auto", "https://[::1]:10100"),
        ("", "auto", "https://127.0.0.1:10100"),
        ("192.0.2.7", "auto", "https://192.0.2.7:10100"),
        ("2001:db8::7", "auto", "https://[2001:db8::7]:10100"),
        ("edge.example", "auto", "https://edge.example:10100"),
    ],
)
def test_where_the_tier_of_this_machine_is(host: str, tls: str, url: str) -> None:
    assert own_url(host, 10100, tls) == url
