"""Names of images."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.errors import InvalidInput
from node_engine.core.image_reference import ImageReference, parse

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("grafana/grafana", "docker.io/grafana/grafana:latest"),
        ("docker.io/library/nginx:1.27", "docker.io/library/nginx:1.27"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/a/b", "docker.io/a/b:latest"),
        ("ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"),
        ("localhost/a", "localhost/a:latest"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("10.0.0.1:5000/a_b/c-d.e:x_Y-z.1", "10.0.0.1:5000/a_b/c-d.e:x_Y-z.1"),
        ("[::1]:5000/a:1", "[::1]:5000/a:1"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        (f"r.example/a:1@{DIGEST}", f"r.example/a:1@{DIGEST}"),
    ],
)
def test_names_in_full(text: str, full: str) -> None:
    assert str(parse(text)) == full


def test_a_digest_beats_a_tag() -> None:
    assert parse(f"a/b:1@{DIGEST}") == ImageReference("docker.io", "a/b", "1", DIGEST)
    assert parse(f"a/b:1@{DIGEST}").version == DIGEST
    assert parse("a/b:1").version == "1"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "A", "a b", "a:", "a@", "a@sha256:12", f"a@md5:{'a' * 32}", "a//b", "/a", "a/", "../a", "a/../b",
        "a:../b", "r.example/", "r.example:port/a", "http://r.example/a", "r.example/a?x=1", "a#b", "a:b:c",
        "-a.example/b", "a\n", "a:1\n", "user@r.example/a", "é", "a" * 600, "r.example/a:" + "t" * 129,
        "r.example%2f/a",
    ],
)  # fmt: skip
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse(text)


@given(st.text(max_size=80))
def test_any_text_is_refused_or_stays_what_it_is(text: str) -> None:
    try:
        reference = parse(text)
    except InvalidInput:
        return
    assert parse(str(reference)) == reference
    assert ".." not in reference.repository and not set(str(reference)) & set(" ?#%\\\n")
