"""Exec plugins: what they are told, what they may answer, and that none outlives who waits for it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmkube.kube.config import ClusterConfig, ConfigError, from_kubeconfig
from llmkube.kube.credentials import Given, Remembered
from llmkube.kube.exec_plugin import ExecConfig, ExecPlugin, Variable
from llmkube.local.apiserver.tls import certificates

V1 = "client.authentication.k8s.io/v1"
SECRET = "s3cr3t"


def credential(status: Any, *, version: str = V1, kind: str = "ExecCredential") -> str:
    return json.dumps({"apiVersion": version, "kind": kind, "status": status})


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[..., ExecPlugin]:
    """A plugin of the kubeconfig in `tmp_path` that runs a shell script there."""

    def plugin(script: str = "", **said: Any) -> ExecPlugin:
        config = ExecConfig(**{"command": "sh", "args": ["-c", script], "api_version": V1, **said})
        return ExecPlugin(config, lambda: {"server": "https://s"}, kubeconfig=tmp_path / "kubeconfig", context="c")

    return plugin


def saying(answer: str) -> str:
    return f"cat <<'END'\n{answer}\nEND"


@pytest.mark.parametrize("version", [V1, "client.authentication.k8s.io/v1beta1"])
async def test_a_plugins_token_is_sent_until_its_expiration(plugin: Any, version: str) -> None:
    status = {"token": " t0ken\n", "expirationTimestamp": "2024-01-01T00:00:00.123456789Z", "more": 1}
    given = await plugin(saying(credential(status, version=version)), api_version=version).give()
    assert given == Given({"Authorization": "Bearer t0ken"}, expires=pytest.approx(1704067200.123))
    status |= {"expirationTimestamp": None, "clientCertificateData": None}
    assert await plugin(saying(credential(status))).give() == Given({"Authorization": "Bearer t0ken"})


TOLD = 'printf %s "$KUBERNETES_EXEC_INFO" > told; printf %s "$OWN$HOME" > own; '


async def test_a_plugin_is_told_what_kubectl_tells_it(
    plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)
    script = TOLD + saying(credential({"token": "t"}))
    await plugin(script, env=[Variable("OWN", "own")]).give()
    spec: dict[str, Any] = {"interactive": False}
    assert json.loads((tmp_path / "told").read_text()) == {"apiVersion": V1, "kind": "ExecCredential", "spec": spec}
    assert (tmp_path / "own").read_text() == "own/home/me"
    await plugin(script, provide_cluster_info=True).give()
    assert json.loads((tmp_path / "told").read_text())["spec"] == spec | {"cluster": {"server": "https://s"}}


async def test_what_json_cannot_say_of_a_cluster_is_one_line(tmp_path: Path) -> None:
    said = ExecConfig(command="true", api_version=V1, provide_cluster_info=True)
    told = {"config": {None: "yaml has keys of any kind"}}
    with pytest.raises(ConfigError, match=r"kubeconfig \(context c\): .*cannot be told of its cluster"):
        await ExecPlugin(said, lambda: told, kubeconfig=tmp_path / "kubeconfig", context="c").give()


@pytest.mark.parametrize(
    ("terminal", "mode", "interactive"),
    [
        (True, None, True),
        (True, "IfAvailable", True),
        (True, "Always", True),
        (True, "Never", False),
        (False, "", False),
    ],
)
async def test_a_plugin_talks_to_the_user_only_where_there_is_one_and_it_may(
    plugin: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    terminal: bool,
    mode: str | None,
    interactive: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "isatty", lambda _: terminal)
    script = TOLD + "echo enter code 1234 >&2; " + saying(credential({"token": "t"}))
    await plugin(script, interactive_mode=mode).give()
    assert json.loads((tmp_path / "told").read_text())["spec"]["interactive"] is interactive
    assert ("1234" in capfd.readouterr().err) is interactive


async def test_a_plugin_that_must_have_a_terminal_is_not_run_without(
    plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "isatty", lambda _: False)
    with pytest.raises(
        ConfigError, match=r"kubeconfig \(context c\): its credential plugin sh failed: it needs a term"
    ):
        await plugin("", interactive_mode="Always").give()


@pytest.mark.parametrize("command", ["./bin/plugin", "bin/plugin"])
async def test_a_relative_path_is_one_from_the_kubeconfig_and_a_name_is_not(
    plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for place in (tmp_path / "bin" / "plugin", tmp_path / "plugin"):
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"#!/bin/sh\n{saying(credential({'token': 't'}))}\n")
        place.chmod(0o755)
    assert (await plugin(command=command, args=None).give()).headers == {"Authorization": "Bearer t"}
    with pytest.raises(ConfigError, match="no such command"):
        await plugin(command="plugin", args=None).give()
    monkeypatch.chdir(tmp_path)
    config = ExecConfig(command="./plugin", api_version=V1)
    assert await ExecPlugin(config, dict, kubeconfig=Path("kubeconfig"), context="c").give()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("null", "gave no ExecCredential: Expected `object`, got `null`"),
        ("", "gave no ExecCredential: Input data was truncated"),
        (SECRET, "gave no ExecCredential: JSON is malformed"),
        ("[" * 100_000, "gave no ExecCredential: "),
        ('{"x": 1}', "gave no ExecCredential: .*missing required field"),
        (credential(None), "gave no ExecCredential with a status; have it write one of client.authentication"),
        (credential({"token": SECRET}, kind="Pod"), "gave no ExecCredential with a status"),
        (credential({"token": SECRET}, version=V1 + "beta1"), "gave no ExecCredential with a status"),
        (credential([SECRET]), r"gave no ExecCredential: Expected `object.*\$\.status"),
        (credential({"token": 7}), r"gave no ExecCredential: Expected `str.*\$\.status\.token"),
        (credential({"token": SECRET, "expirationTimestamp": SECRET}), "gave no ExecCredential: Invalid RFC3339"),
        (credential({"token": SECRET, "expirationTimestamp": "2024-01-01T00:00:00"}), "gave no ExecCredential: "),
        (credential({}), "gave no token and no client certificate"),
        (credential({"token": "\n"}), "gave no token and no client certificate"),
        (credential({"token": f"{SECRET}\nb"}), "its token holds line breaks"),
        (credential({"clientKeyData": SECRET}), "gave only one of client certificate and key"),
        (credential({"clientKeyData": SECRET, "clientCertificateData": "x"}), "client certificate that cannot be read"),
        ('"' + "x" * (1 << 20), "wrote more than 1048576 bytes"),
    ],
)
async def test_an_answer_that_is_none_is_one_line_that_does_not_quote_it(
    plugin: Any, tmp_path: Path, answer: str, why: str
) -> None:
    (tmp_path / "answer").write_text(answer)
    with pytest.raises(
        ConfigError, match=rf"^{tmp_path}/kubeconfig \(context c\): its credential plugin sh.* {why}"
    ) as e:
        await plugin(f"cat {tmp_path}/answer").give()
    assert SECRET not in str(e.value)
    assert "\n" not in str(e.value)


async def test_an_answer_that_is_no_text_is_one_line(plugin: Any) -> None:
    with pytest.raises(ConfigError, match="gave no ExecCredential: "):
        await plugin(r"""printf '{"apiVersion": "\377", "kind": ""}'""").give()


async def test_a_plugin_that_fails_is_one_line_with_the_end_of_what_it_complained_of(plugin: Any) -> None:
    with pytest.raises(ConfigError, match=r"sh failed: exit status 3; run it by hand to see why$"):
        await plugin("exit 3").give()
    script = "head -c 300000 /dev/zero | tr '\\0' x >&2; printf '\\033[31mnot\\nlogged in\\n' >&2; exit 1"
    with pytest.raises(ConfigError, match=r"exit status 1: x+ \[31mnot logged in; run it by hand to see why$") as error:
        await plugin(script).give()
    assert len(str(error.value)) < 500


async def test_a_plugin_that_complains_at_length_is_read_to_its_end(plugin: Any) -> None:
    script = "head -c 300000 /dev/zero | tr '\\0' x >&2; " + saying(credential({"token": "t"}))
    assert (await plugin(script).give()).headers == {"Authorization": "Bearer t"}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"command": "no-such-plugin"}, "failed: there is no such command; install it"),
        ({"command": "no-such", "install_hint": "run\n brew install it\x1b"}, "such command; run brew install it$"),
        ({"command": "/etc/passwd"}, "failed: cannot be run: Permission denied"),
        ({"args": ["\0"]}, "failed: cannot be run: an argument or variable is no text"),
    ],
)
async def test_a_plugin_that_cannot_be_run_is_one_line_with_what_to_do(plugin: Any, said: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=rf"kubeconfig \(context c\): its credential plugin .* ?{why}"):
        await plugin(**said).give()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"api_version": "client.authentication.k8s.io/v1alpha1"}, "is of version .*v1alpha1; use client"),
        ({"interactive_mode": "Sometimes"}, "unknown interactiveMode; use Never, IfAvailable or Always"),
    ],
)
def test_a_plugin_of_an_unknown_kind_is_refused_when_the_kubeconfig_is_read(plugin: Any, said: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        plugin(**said)


class Held:
    """A pipe that a plugin holds, and whatever it starts: its end is theirs."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "held"
        self._said = asyncio.StreamReader()
        os.mkfifo(self.path)

    async def opened(self) -> str:
        """Wait for the plugin to begin; return the line that it writes."""
        pipe = await asyncio.to_thread(self.path.open, "rb", buffering=0)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(self._said), pipe)
        return (await self._said.readline()).decode()

    async def let_go(self) -> bool:
        async with asyncio.timeout(20):
            while await self._said.read(1 << 16):
                pass
        return True


@pytest.fixture
async def held(tmp_path: Path) -> Held:
    return Held(tmp_path)


@pytest.mark.parametrize("terminal", [True, False])
async def test_a_plugin_that_is_given_up_is_killed(
    plugin: Any, held: Held, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr(os, "isatty", lambda _: terminal)
    asked = asyncio.create_task(plugin(f"exec 3>{held.path}; echo $$ >&3; exec sleep 1000").give())
    child = int(await held.opened())
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await held.let_go()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.mark.parametrize("writes", ["sleep 1000", "yes", "yes >&2"])
async def test_what_a_plugin_started_goes_with_it(plugin: Any, held: Held, writes: str) -> None:
    asked = asyncio.create_task(plugin(f"exec 3>{held.path}; ({writes}; :) | (echo >&3; exec cat); :").give())
    assert await held.opened() == "\n"
    asked.cancel()
    with pytest.raises((asyncio.CancelledError, ConfigError)):  # `yes` may have written too much by now
        await asked
    assert await held.let_go()


async def test_a_plugin_that_is_given_up_while_it_starts_is_killed_with_what_it_started(
    plugin: Any, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio starts a child some time before it tells of it."""
    start, go_on = asyncio.create_subprocess_exec, asyncio.Event()

    async def slowly(*args: Any, **options: Any) -> asyncio.subprocess.Process:
        child = await start(*args, **options)
        await go_on.wait()
        return child

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slowly)
    asked = asyncio.create_task(plugin(f"exec 3>{held.path}; sleep 1000 | (echo >&3; sleep 1000); :").give())
    await held.opened()
    asked.cancel()
    asyncio.get_running_loop().call_soon(go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await held.let_go()


async def test_a_plugin_that_writes_without_end_is_ended(plugin: Any) -> None:
    with pytest.raises(ConfigError, match="wrote more than 1048576 bytes"):
        await plugin("(yes; :); :").give()


def kubeconfig(folder: Path, script: str, *, server: str = "https://127.0.0.1:1", **cluster: Any) -> ClusterConfig:
    said = {"apiVersion": V1, "command": "sh", "args": ["-c", script], "provideClusterInfo": True}
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": {"exec": said, "as": "jane"}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(content))
    return from_kubeconfig(folder / "kubeconfig")


async def test_a_plugin_is_told_of_the_cluster_as_kubectl_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    authority = certificates(tmp_path).ca_pem
    (tmp_path / "authority").write_text(authority)
    config = kubeconfig(
        tmp_path,
        TOLD + saying(credential({"token": "t"})),
        **{"certificate-authority": "authority", "tls-server-name": "k", "proxy-url": "http://p:1"},
        extensions=[{"name": "other"}, {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}],
    )
    assert await config.credentials.headers() == {"Authorization": "Bearer t", "Impersonate-User": "jane"}
    assert json.loads((tmp_path / "told").read_text())["spec"]["cluster"] == {
        "server": "https://127.0.0.1:1",
        "certificate-authority-data": base64.b64encode(authority.encode()).decode(),
        "tls-server-name": "k",
        "proxy-url": "http://p:1",
        "config": {"audience": "a"},
    }
    (tmp_path / "authority").unlink()
    with pytest.raises(ConfigError, match=r"kubeconfig \(context c\): its certificate-authority cannot be read"):
        await config.credentials.headers(refused={"Authorization": "Bearer t"})


async def test_a_client_certificate_of_a_plugin_is_shown_and_a_newer_one_after_it(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        certificates(folder)
        crt, key = ((folder / name).read_text() for name in ("server.crt", "server.key"))
        status = {"clientCertificateData": crt, "clientKeyData": key}
        (tmp_path / "answer").write_text(credential(status))

    config = kubeconfig(tmp_path, f"cat {tmp_path}/answer")
    assert config.tls is not None
    before = config.tls.context()
    write(tmp_path / "first")
    assert await config.credentials.headers() == {"Impersonate-User": "jane"}
    first = config.tls.context()
    assert first is not before
    assert config.tls.context() is first
    write(tmp_path / "second")
    await config.credentials.headers(refused={})
    assert config.tls.context() is not first


async def test_an_expired_token_of_a_plugin_is_asked_for_again(plugin: Any, tmp_path: Path) -> None:
    now = iter((0.0, 59.0, 60.0))
    status = {"token": "t", "expirationTimestamp": "1970-01-01T00:01:00Z"}
    script = f"echo >> {tmp_path}/runs; " + saying(credential(status))
    credentials = Remembered(plugin(script).give, now=lambda: next(now))
    for runs in (1, 1, 1, 2):  # the first is not asked when it expires: there is none yet
        await credentials.headers()
        assert (tmp_path / "runs").read_text() == "\n" * runs
