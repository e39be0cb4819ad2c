"""What a kubeconfig says, as kubectl reads it; what is wrong with one is one line, which tells no secret."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmkube.kube.config import ClusterConfig, ConfigError, TokenFile, from_kubeconfig, in_cluster, load
from llmkube.kube.credentials import Given, Remembered, of_auth_provider
from llmkube.kube.trust import TrustError
from llmkube.local.apiserver.tls import certificates

SECRET = "s3cr3t"


def document(user: Any = None, cluster: Any = None, context: Any = None) -> dict[str, Any]:
    server = {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": True}
    return {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"} if context is None else context}],
        "clusters": [{"name": "k", "cluster": {**server, **(cluster or {})}}],
        "users": [{"name": "u", "user": {} if user is None else user}],
    }


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Read a kubeconfig of one context, made of the user, cluster and context given."""

    def read(user: Any = None, cluster: Any = None, context: Any = None) -> ClusterConfig:
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(document(user, cluster, context)))
        return from_kubeconfig(path)

    return read


async def headers(config: ClusterConfig) -> dict[str, str]:
    return await config.credentials.headers()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("token", ["t0ken\n", "  t0ken", "t0ken\r\n"])
async def test_what_surrounds_a_token_is_none_of_it(read: Any, tmp_path: Path, token: str) -> None:
    assert await headers(read({"token": token})) == bearer("t0ken")
    (tmp_path / "file").write_bytes(token.encode())
    assert await headers(read({"tokenFile": "file"})) == bearer("t0ken")


@pytest.mark.parametrize("token", [f"{SECRET}\nX-More: 1", f"{SECRET}\x00", f"{SECRET}\x7f", f"{SECRET}é"])
async def test_a_token_that_no_header_can_hold_is_refused_and_not_told(read: Any, tmp_path: Path, token: str) -> None:
    with pytest.raises(ConfigError, match=r"kubeconfig \(context c\): its user's token holds line breaks") as found:
        read({"token": token})
    assert SECRET not in str(found.value)
    (tmp_path / "file").write_text(token)
    with pytest.raises(ConfigError, match=r"token file .*/file holds line breaks") as found:
        await headers(read({"tokenFile": "file"}))
    assert SECRET not in str(found.value)


async def test_a_token_files_token_goes_before_the_kubeconfigs_own_while_there_is_one(
    read: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("fresh")
    config = read({"token": "stale", "tokenFile": "file"})
    assert await headers(config) == bearer("fresh")
    for lose in ((tmp_path / "file").write_text, lambda _: (tmp_path / "file").unlink()):
        lose("")
        assert await headers(config) == bearer("stale")


async def test_a_token_file_that_is_empty_or_no_text_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for content, why in ((b"\n", "is empty"), (b"\xff\xfe", "not a text")):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=rf"token file .*/file:? {why}"):
            await TokenFile(file).headers()


async def test_a_name_and_password_are_sent_as_basic_authentication(read: Any) -> None:
    assert await headers(read({"username": "jané", "password": "a:b"})) == {
        "Authorization": "Basic " + base64.b64encode("jané:a:b".encode()).decode()
    }


def test_a_user_with_both_a_token_and_a_password_is_refused_as_kubectl_does(read: Any) -> None:
    with pytest.raises(ConfigError, match="both a token and a username"):
        read({"token": SECRET, "username": "jane", "password": SECRET})


@pytest.mark.parametrize("own", [{}, {"token": "t"}, {"username": "u", "password": "p"}])
async def test_who_a_user_acts_as_is_said_with_every_credential(read: Any, own: dict[str, str]) -> None:
    extra = {"acme.com/Projeçt": ["x y"], "empty": []}
    acting = {"as": "jane", "as-uid": "7", "as-groups": ["devs"], "as-user-extra": extra}
    assert await headers(read({**own, **acting})) == {
        **await headers(read(own)),
        "Impersonate-User": "jane",
        "Impersonate-Uid": "7",
        "Impersonate-Group": "devs",
        "Impersonate-Extra-acme.com%2FProje%C3%A7t": "x y",
    }


@pytest.mark.parametrize(
    ("acting", "why"),
    [
        ({"as": "j", "as-groups": ["a", "b"]}, "Impersonate-Group has 2 values, but llmkube sends one"),
        ({"as": "j", "as-user-extra": {"x": ["a", "b"]}}, "Impersonate-Extra-x has 2 values"),
        ({"as-groups": ["a"]}, "need a user to act as"),
        ({"as": "j\nX-Remote-User: root"}, "Impersonate-User holds line breaks"),
    ],
)
def test_acting_as_somebody_who_cannot_be_said_is_refused_not_dropped(
    read: Any, acting: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError, match=rf"kubeconfig \(context c\): .*{why}"):
        read({"token": SECRET, **acting})


def test_a_clusters_proxy_and_the_name_in_its_certificate_are_read(read: Any) -> None:
    config = read(cluster={"proxy-url": "http://me:secret@proxy:3128", "tls-server-name": "kubernetes"})
    assert (config.proxy, config.server_hostname) == ("http://me:secret@proxy:3128", "kubernetes")
    assert "secret" not in repr(config)
    assert (read().proxy, read().server_hostname) == ("", "")


def test_a_proxy_of_the_environment_is_on_the_way_to_clusters_of_kubeconfigs_without_one(
    read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    outside = {"server": "https://api.example"}
    assert read(cluster=outside).proxy == "http://proxy:3128"
    assert read(cluster={**outside, "proxy-url": "http://other:3128"}).proxy == "http://other:3128"
    assert read().proxy == "", "loopback"
    (tmp_path / "namespace").write_text("here")
    (tmp_path / "ca.crt").write_text(certificates(tmp_path).ca_pem)
    monkeypatch.setattr("llmkube.kube.config.SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert in_cluster().proxy == "", "a Service's address is behind no proxy"


@pytest.mark.parametrize("url", ["socks5://me:secret@proxy:1", "proxy:3128", "http://", "http://proxy:port"])
def test_a_proxy_that_is_no_http_proxy_is_refused(read: Any, url: str) -> None:
    with pytest.raises(ConfigError, match="proxy-url is none of http:// or https://") as found:
        read(cluster={"proxy-url": url})
    assert "secret" not in str(found.value)


@pytest.mark.parametrize(
    ("server", "found"),
    [
        ("https://api.example:6443/", "https://api.example:6443"),
        ("HTTPS://api.example/k8s/clusters/c-1/", "https://api.example/k8s/clusters/c-1"),
        ("https://[::1]:6443", "https://[::1]:6443"),
        ("api.example:8080", "http://api.example:8080"),
        ("api.example", "http://api.example"),
    ],
)
def test_where_the_server_is_is_said_as_kubectl_takes_it(read: Any, server: str, found: str) -> None:
    config = read(cluster={"server": server, "insecure-skip-tls-verify": None})
    assert (config.server, config.tls is not None) == (found, found.startswith("https"))


def test_a_server_without_a_scheme_whose_certificate_is_spoken_of_is_asked_by_tls(read: Any) -> None:
    assert read(cluster={"server": "api.example:6443"}).server == "https://api.example:6443"


@pytest.mark.parametrize(
    "server",
    [
        "ftp://x",
        "https://",
        "https://a b",
        "https://[::1",
        "https://x:99999",
        "unix:///s",
        "https://x/?y=1",
        "https://x#f",
    ],
)
def test_a_server_that_is_no_server_is_one_line(read: Any, server: str) -> None:
    with pytest.raises(ConfigError, match=r"kubeconfig \(context c\): its cluster's server is no "):
        read(cluster={"server": server})


@pytest.mark.parametrize("server", [f"https://me:{SECRET}@x", f"me:{SECRET}@x:6443"])
def test_a_password_in_a_servers_address_is_refused_and_not_told(read: Any, server: str) -> None:
    with pytest.raises(ConfigError, match=r"kubeconfig \(context c\): its cluster's server is no ") as found:
        read(cluster={"server": server})
    assert SECRET not in str(found.value)


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, str]:
    """A certificate and its key, as files beside the kubeconfig and as data of it."""
    certificates(tmp_path)
    crt, key = ((tmp_path / name).read_bytes() for name in ("server.crt", "server.key"))
    return {
        "client-certificate": "server.crt",
        "client-key": "server.key",
        "client-certificate-data": base64.encodebytes(crt).decode(),
        "client-key-data": base64.encodebytes(key).decode(),
    }


@pytest.mark.parametrize("certificate", ["client-certificate", "client-certificate-data"])
@pytest.mark.parametrize("key", ["client-key", "client-key-data"])
def test_a_client_certificate_and_its_key_stand_each_in_a_file_or_in_the_kubeconfig(
    read: Any, tmp_path: Path, pair: dict[str, str], certificate: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr("llmkube.kube.config.present", lambda _, *pair: shown.append(pair))
    read({certificate: pair[certificate], key: pair[key]})
    assert shown == [((tmp_path / "server.crt").read_bytes(), (tmp_path / "server.key").read_bytes())]


@pytest.mark.parametrize("certificate", ["client-certificate", "client-certificate-data"])
def test_a_client_certificate_without_a_key_is_one_line(read: Any, pair: dict[str, str], certificate: str) -> None:
    with pytest.raises(ConfigError, match=r"kubeconfig \(context c\): .* client-certificate but no client-key"):
        read({certificate: pair[certificate]})


@pytest.mark.parametrize(
    ("user", "cluster", "which"),
    [
        ({"client-certificate-data": "!!", "client-key-data": "eA=="}, {}, "client-certificate-data"),
        ({"client-certificate-data": "eA==", "client-key-data": "eA="}, {}, "client-key-data"),
        ({}, {"certificate-authority-data": "é"}, "certificate-authority-data"),
    ],
)
def test_what_is_not_base64_is_one_line_with_the_field(read: Any, user: Any, cluster: Any, which: str) -> None:
    with pytest.raises(ConfigError, match=rf"kubeconfig \(context c\): {which} is not base64"):
        read(user, cluster)


def test_a_key_that_is_encrypted_or_anothers_is_one_line_and_no_question_at_the_terminal(
    read: Any, tmp_path: Path, pair: dict[str, str]
) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key((tmp_path / "server.key").read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    certificates(tmp_path / "other")
    for content in (encrypted, (tmp_path / "other" / "server.key").read_bytes(), b""):
        (tmp_path / "key").write_bytes(content)
        with pytest.raises(TrustError, match="kubeconfig: its certificates cannot be read"):
            read({"client-certificate": pair["client-certificate"], "client-key": "key"})


def test_an_authority_with_names_of_any_alphabet_in_its_comments_is_read(read: Any, tmp_path: Path) -> None:
    authority = "# Főtanúsítvány\n" + certificates(tmp_path).ca_pem
    (tmp_path / "ca.crt").write_text(authority)
    data = base64.b64encode(authority.encode()).decode()
    for cluster in ({"certificate-authority": "ca.crt"}, {"certificate-authority-data": data}):
        trust = read(cluster={**cluster, "insecure-skip-tls-verify": False}).tls
        assert len(trust.context().get_ca_certs()) == 1


@pytest.mark.parametrize("content", ["", "\n", "é"])
def test_an_authority_that_is_empty_is_not_the_systems(read: Any, tmp_path: Path, content: str) -> None:
    (tmp_path / "ca.crt").write_text(content)
    with pytest.raises(TrustError, match="its certificates cannot be read"):
        read(cluster={"certificate-authority": "ca.crt"})


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"contexts": {"c": {}}}, r"cannot be read as a kubeconfig: Expected `array.*\$\.contexts"),
        ({"contexts": [{"name": "c"}]}, "context 'c': Expected `object`, got `null`"),
        ({"contexts": [{"name": "c", "context": []}]}, "context 'c': Expected `object`, got `array`"),
        ({"contexts": [{"name": "c", "context": {"user": 7}}]}, r"context 'c': Expected `str.*\$\.user"),
        ({"contexts": [None]}, r"Expected `object`, got `null` - at `\$\.contexts\[0\]"),
        ({"contexts": None}, "no context 'c'; it has: none"),
        ({"clusters": [{"name": "k"}]}, "cluster 'k': Expected `object`, got `null`"),
        ({"clusters": [{"name": "k", "cluster": ["x"]}]}, "cluster 'k': Expected `object`, got `array`"),
        ({"clusters": [{"name": "k", "cluster": {"server": ["x"]}}]}, r"cluster 'k': Expected `str.*\$\.server"),
        ({"clusters": [{"name": "k", "cluster": {}}]}, "its cluster has no server"),
        ({"clusters": []}, "no cluster 'k'; it has: none"),
        ({"users": [{"name": "u", "user": []}]}, "user 'u': Expected `object`, got `array`"),
        ({"users": [{"name": "u", "user": {"token": 1234}}]}, r"user 'u': Expected `str.*got `int` - at `\$\.token"),
        ({"users": [{"name": "u", "user": {"exec": "sh"}}]}, r"user 'u': Expected `object.*\$\.exec"),
        ({"users": [{"name": "u", "user": {"exec": {}}}]}, r"user 'u': .*missing required field `command`.*\$\.exec"),
        ({"users": [{"name": "v"}]}, "no user 'u'; it has: v"),
        ({"current-context": None}, "has no current-context; name one of: c"),
    ],
)
def test_an_entry_of_another_shape_is_one_line_with_the_file_the_entry_and_the_field(
    tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump({**document(), **changed}))
    with pytest.raises(ConfigError, match=rf"^{path}.*{why}"):
        from_kubeconfig(path)


@pytest.mark.parametrize(
    "content",
    [b"[]", b"\xff", b"a: b: s3cr3t", b"token: !s3cr3t", b"token: *s3cr3t", b"x: 2024-99-99", b"[" * 5000],
)
def test_a_file_that_is_no_kubeconfig_is_one_line_that_does_not_quote_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read as a kubeconfig") as found:
        from_kubeconfig(path)
    assert SECRET not in str(found.value)
    assert "\n" not in str(found.value)


async def test_entries_that_are_not_chosen_may_be_as_they_like(tmp_path: Path) -> None:
    path, content = tmp_path / "kubeconfig", document({"token": "t"})
    for section, entry in (("users", {"user": 7}), ("clusters", {"cluster": []}), ("contexts", {})):
        content[section].insert(0, {"name": "other", **entry})
    content["preferences"] = {}
    path.write_text(yaml.safe_dump(content))
    assert await headers(from_kubeconfig(path)) == bearer("t")


async def test_a_user_of_nothing_shows_nothing(tmp_path: Path) -> None:
    path, content = tmp_path / "kubeconfig", document()
    content["users"] = [{"name": "u", "user": None}]
    path.write_text(yaml.safe_dump(content))
    assert await headers(from_kubeconfig(path)) == {}


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """$KUBECONFIG names two files in folders of their own, and one between them that is not there."""
    first, second = tmp_path / "one" / "kubeconfig", tmp_path / "two" / "kubeconfig"
    for path, token in ((first, "1"), (second, "2")):
        path.parent.mkdir()
        (path.parent / "token").write_text(token)
        path.write_text(yaml.safe_dump(document({"tokenFile": "token"})))
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, (first, tmp_path / "none", second))))
    return first, second


def changed(path: Path, **sections: Any) -> None:
    path.write_text(yaml.safe_dump({**document({"tokenFile": "token"}), **sections}))


async def test_of_the_files_that_kubeconfig_names_each_entry_comes_from_the_first_that_has_it(
    two: tuple[Path, Path],
) -> None:
    assert await headers(await load()) == bearer("1")
    changed(two[0], users=None)
    assert await headers(await load()) == bearer("2"), "a path is from the file that says it"
    changed(two[0], **{"current-context": "", "contexts": None})
    config = await load()
    assert (config.origin, await headers(config)) == (f"{two[1]} (context c)", bearer("1"))


async def test_a_file_that_is_empty_has_no_entries(two: tuple[Path, Path]) -> None:
    two[0].write_text("# made by touch\n")
    assert await headers(await load()) == bearer("2")
    two[1].write_text("")
    with pytest.raises(ConfigError, match="has no current-context; name one of: none"):
        await load()


async def test_what_none_of_the_files_has_is_one_line_that_names_them(two: tuple[Path, Path]) -> None:
    both = os.pathsep.join(map(str, two))
    with pytest.raises(ConfigError, match=rf"^{both}: no context 'x'; it has: c$"):
        await load(context="x")
    for path in two:
        changed(path, users=None)
    with pytest.raises(ConfigError, match=rf"^{both}: no user 'u'; it has: none$"):
        await load()


async def test_a_plugin_that_two_files_describe_runs_from_the_folder_of_the_one_that_says_it(
    two: tuple[Path, Path],
) -> None:
    script = two[1].parent / "plugin"
    version = "client.authentication.k8s.io/v1"
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": "given"}}
    script.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    script.chmod(0o755)
    changed(two[0], users=None)
    changed(two[1], users=[{"name": "u", "user": {"exec": {"command": "./plugin", "apiVersion": version}}}])
    assert await headers(await load()) == bearer("given")


async def test_an_auth_provider_is_found_in_any_of_the_files(two: tuple[Path, Path]) -> None:
    provider = {"name": "gcp", "config": {"access-token": "t0ken"}}
    changed(two[0], users=None)
    changed(two[1], users=[{"name": "u", "user": {"auth-provider": provider}}])
    assert await headers(await load()) == bearer("t0ken")


def test_a_pod_without_its_service_account_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmkube.kube.config.SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(ConfigError, match="namespace cannot be read"):
        in_cluster()


@pytest.mark.parametrize(
    "provider",
    [
        {"name": "oidc", "config": {"client-secret": SECRET, "refresh-token": SECRET}},
        {"name": "oidc", "config": {"id-token": f"a.{SECRET}.b"}},
        {"name": "oidc", "config": {"id-token": 7}},
        {"name": "oidc", "config": []},
        {"name": "gcp", "config": {"access-token": SECRET, "expiry": 7}},
        {"name": "gcp", "config": {"cmd-path": "false"}},
        {"name": "azure", "config": {"access-token": SECRET}},
        {"name": ["oidc"]},
    ],
)
async def test_an_auth_provider_that_fails_is_one_line_that_tells_no_secret(
    read: Any, tmp_path: Path, provider: dict[str, Any]
) -> None:
    config = read({"auth-provider": provider})
    with pytest.raises(ConfigError, match=r"kubeconfig \(context c\): its auth-provider") as found:
        await headers(config)
    assert SECRET not in str(found.value)


async def test_an_auth_providers_token_is_sent(read: Any, tmp_path: Path) -> None:
    read({"auth-provider": {"name": "gcp", "config": {"access-token": "t0ken"}}})
    assert (await of_auth_provider((tmp_path / "kubeconfig",), "c")).headers == bearer("t0ken")


class Asked:
    """Gives another token each time it is asked."""

    def __init__(self, lasts: float = 100.0) -> None:
        self.times = 0
        self.lasts = lasts
        self.clock = 0.0

    async def give(self) -> Given:
        self.times += 1
        await asyncio.sleep(0)
        return Given(bearer(str(self.times)), expires=self.clock + self.lasts)

    def remembered(self) -> Remembered:
        return Remembered(self.give, now=lambda: self.clock)


async def test_however_many_are_refused_with_one_token_a_newer_one_is_got_once() -> None:
    asked = Asked()
    credentials = asked.remembered()
    old = await credentials.headers()
    at_once = await asyncio.gather(*(credentials.headers(refused=old) for _ in range(4)))
    later = [await credentials.headers(refused=old) for _ in range(4)]
    assert at_once + later == [bearer("2")] * 8
    assert asked.times == 2
    assert await credentials.headers(refused=bearer("2")) == bearer("3")


async def test_a_token_that_has_expired_is_not_sent_but_got_again() -> None:
    asked = Asked(lasts=100.0)
    credentials = asked.remembered()
    for clock, token in ((0.0, "1"), (99.9, "1"), (100.0, "2"), (199.9, "2"), (200.0, "3")):
        asked.clock = clock
        assert await credentials.headers() == bearer(token)


async def test_who_gives_up_waiting_for_a_token_leaves_the_others_waiting_for_theirs() -> None:
    started, go_on, times = asyncio.Event(), asyncio.Event(), 0

    async def give() -> Given:
        nonlocal times
        times += 1
        started.set()
        await go_on.wait()
        return Given(bearer(str(times)))

    credentials = Remembered(give)
    first, second = (asyncio.create_task(credentials.headers()) for _ in range(2))
    await started.wait()
    first.cancel()
    go_on.set()
    assert await second == bearer("2")
    assert first.cancelled()
