"""Where sources may be, and who is told our credentials."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from llmkube.models.credentials import Credentials, S3Access
from llmkube.models.errors import SourceError
from llmkube.models.places import Place
from llmkube.models.policy import SourcePolicy
from llmkube.models.s3 import checked
from llmkube.models.source import parse

if TYPE_CHECKING:
    from pathlib import Path

SPECIAL = ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"]
SPECIAL += [
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00::1",
    "fec0::1",
    "ff02::1",
    "::",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
]
SPECIAL += ["::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:10.0.0.1"]
SPECIAL += ["64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1"]
SPECIAL += ["2001:0:7f00:1::", "192.0.0.1", "198.18.0.1", "240.0.0.1", "255.255.255.255"]


@pytest.mark.parametrize("address", SPECIAL)
def test_an_address_inside_a_special_network_is_denied(address: str) -> None:
    with pytest.raises(SourceError) as caught:
        SourcePolicy().check_host("mirror.internal", [address])
    assert caught.value.reason == "SourceDenied"
    assert "mirror.internal" in caught.value.message


def test_public_addresses_are_allowed_but_one_special_among_them_is_enough_to_deny() -> None:
    SourcePolicy().check_host("example.com", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
    SourcePolicy().check_host("example.com", ["64:ff9b::93.184.215.14", "2002:5db8:d70e::1"])
    with pytest.raises(SourceError):
        SourcePolicy().check_host("example.com", ["93.184.215.14", "10.0.0.1"])


def test_the_administrator_allows_networks_and_names() -> None:
    policy = SourcePolicy(("10.0.0.0/8", "mirror.internal"))
    policy.check_host("any.internal", ["10.9.8.7"])
    policy.check_host("any.internal", ["::ffff:10.9.8.7", "64:ff9b::10.9.8.7"])
    policy.check_host("Mirror.Internal.", ["192.168.1.1"])
    with pytest.raises(SourceError):
        policy.check_host("other.internal", ["192.168.1.1"])


def test_a_file_must_really_be_below_an_allowed_root(tmp_path: Path) -> None:
    root, outside = tmp_path / "models", tmp_path / "secret.gguf"
    root.mkdir()
    outside.write_bytes(b"GGUF")
    (root / "good.gguf").write_bytes(b"GGUF")
    (root / "link.gguf").symlink_to(outside)
    (root / "loop.gguf").symlink_to("loop.gguf")
    policy = SourcePolicy(roots=(root,))
    assert policy.check_file(root / "good.gguf") == (root / "good.gguf").resolve()
    for path in (outside, root / "link.gguf", root / ".." / "secret.gguf", root / "loop.gguf" / "x"):
        with pytest.raises(SourceError):
            policy.check_file(path)


def test_credentials_go_to_the_origin_of_the_source_alone() -> None:
    place = Place("https://models.example.com/a.gguf", Credentials(token="t0ken").headers())
    assert place.headers("https://models.example.com:443/b", {}) == {"Authorization": "Bearer t0ken"}
    for other in ("https://cdn.example.com/b", "http://models.example.com/b", "https://models.example.com:8443/b"):
        assert place.headers(other, {"Range": "bytes=0-1"}) == {"Range": "bytes=0-1"}


def test_the_hugging_face_token_is_for_hugging_face_sources() -> None:
    credentials = Credentials(hf_token="hf_x")
    assert credentials.headers(is_hugging_face=True) == {"Authorization": "Bearer hf_x"}
    assert credentials.headers() == {}


def test_a_name_and_a_password_are_basic_authentication() -> None:
    secret = {
        "LLMKUBE_SOURCE_USERNAME": base64.b64encode(b"ann").decode(),
        "LLMKUBE_SOURCE_PASSWORD": base64.b64encode(b"pass\n").decode(),
        "something.else": "not base64!",
    }
    assert Credentials.from_secret(secret).headers() == {
        "Authorization": f"Basic {base64.b64encode(b'ann:pass').decode()}"
    }


@pytest.mark.parametrize("token", ["two\nlines", "a\r\nX-Evil: 1", "schlüssel", "\x00"])
def test_a_token_that_cannot_stand_in_a_header_is_refused_by_its_name_alone(token: str) -> None:
    for credentials, name in (
        (Credentials(token=token), "LLMKUBE_SOURCE_TOKEN"),
        (Credentials(hf_token=token), "HF_TOKEN"),
    ):
        with pytest.raises(SourceError, match=name) as caught:
            credentials.headers(is_hugging_face=True)
        assert token not in caught.value.message
    with pytest.raises(SourceError, match="AWS_SESSION_TOKEN"):
        checked(parse("s3://bucket/m.gguf"), S3Access("key", "secret", token))


def test_credentials_are_never_printed() -> None:
    keys = S3Access("t0ken", "t0ken", "t0ken")
    one = Credentials(token="t0ken", password="t0ken", hf_token="t0ken", s3=keys, docker_config="t0ken")
    assert "t0ken" not in f"{one!r} {keys!r}"
