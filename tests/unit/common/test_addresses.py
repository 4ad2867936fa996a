"""What people write for a parent."""

import pytest

from edge_common.plumbing.addresses import https_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("192.0.2.7", "https://192.0.2.7:10000"),
        ("192.0.2.7:11000", "https://192.0.2.7:11000"),
        ("root.example", "https://root.example:10000"),
        (" https://root.example:10000/ ", "https://root.example:10000"),
        ("http://127.0.0.1:10000", "http://127.0.0.1:10000"),
        ("2001:db8::7", "https://[2001:db8::7]:10000"),
        ("[2001:db8::7]:11000", "https://[2001:db8::7]:11000"),
        ("[2001:db8::7]", "https://[2001:db8::7]:10000"),
    ],
)
def test_a_host_is_a_url_with_tls(text: str, url: str) -> None:
    assert https_url(text, 10000) == url
