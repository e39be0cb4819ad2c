"""Exec plugins of kubeconfigs: a program whose stdout is an ExecCredential.

    ExecPlugin(said, cluster, kubeconfig=…, context=…).give() -> Given

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins, and
client-go's plugin/pkg/client/auth/exec. Whatever goes wrong is one ConfigError, which never quotes what was written to
stdout; no child outlives who waits for it.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import ssl
from contextlib import suppress
from datetime import datetime  # noqa: TC003 - msgspec reads the annotation
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import msgspec

from llmkube.kube.credentials import ConfigError, Given, token_of
from llmkube.kube.errors import UNREADABLE
from llmkube.kube.received import decoder_of
from llmkube.kube.trust import present

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable, Mapping
    from pathlib import Path

VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
LARGEST_ANSWER = 1 << 20
"""How many bytes a plugin may write to stdout."""
TOLD = 200
"""How many characters of its stderr, the last ones, an error tells."""
FAREWELL = 5.0
"""For how many seconds a child that was killed is waited for."""


class Variable(msgspec.Struct):
    """An environment variable of a plugin."""

    name: str
    value: str


class ExecConfig(msgspec.Struct, rename="camel"):
    """`exec` of a user of a kubeconfig (ExecConfig of client-go's api/v1)."""

    command: str
    api_version: str
    args: list[str] | None = None
    env: list[Variable] | None = None
    install_hint: str | None = None
    interactive_mode: str | None = None
    provide_cluster_info: bool | None = None


class _Status(msgspec.Struct, rename="camel"):
    token: str | None = None
    expiration_timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None


class _ExecCredential(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    status: _Status | None = None


class ExecPlugin:
    """One user's plugin; `cluster` is spec.cluster of what it is told, made anew for each run."""

    def __init__(
        self, said: ExecConfig, cluster: Callable[[], Mapping[str, Any]], *, kubeconfig: Path, context: str
    ) -> None:
        self._said = said
        self._cluster = cluster
        self._where = f"{kubeconfig} (context {context}): its credential plugin {said.command}"
        self._folder = kubeconfig.parent.absolute()
        if said.api_version not in VERSIONS:
            self._fail(f"is of version {said.api_version}", f"use {' or '.join(VERSIONS)}")
        if said.interactive_mode not in {None, "", "Never", "IfAvailable", "Always"}:
            self._fail("has an unknown interactiveMode", "use Never, IfAvailable or Always")

    async def give(self) -> Given:
        """Run the plugin; return what it gave. ConfigError says what went wrong with it."""
        interactive = self._is_interactive()
        child = await self._start(interactive=interactive)
        try:
            answer, complaint = await asyncio.gather(_head(child, alone=not interactive), _tail(child))
            await child.wait()
        finally:
            await _end(child, alone=not interactive)
        if len(answer) > LARGEST_ANSWER:
            self._fail(f"wrote more than {LARGEST_ANSWER} bytes", f"have it write one ExecCredential of {VERSIONS[0]}")
        if child.returncode != 0:
            told = f": {complaint}" if complaint else ""
            self._fail(f"failed: exit status {child.returncode}{told}", "run it by hand to see why")
        return self._given(answer)

    def _is_interactive(self) -> bool:
        """Whether the plugin may talk to who sits at the terminal."""
        mode, is_terminal = self._said.interactive_mode or "IfAvailable", os.isatty(0)
        if mode == "Always" and not is_terminal:
            self._fail("failed: it needs a terminal (interactiveMode: Always)", "use one that asks nobody")
        return is_terminal and mode != "Never"

    async def _start(self, *, interactive: bool) -> Process:
        pipe = asyncio.subprocess.PIPE
        try:
            return await _started(
                self._command(),
                *(self._said.args or ()),
                env=self._environment(interactive=interactive),
                stdin=None if interactive else asyncio.subprocess.DEVNULL,
                stdout=pipe,
                stderr=None if interactive else pipe,
                process_group=None if interactive else 0,  # a group that is not the terminal's cannot read from it
            )
        except FileNotFoundError:
            self._fail("failed: there is no such command", _one_line(self._said.install_hint or "") or "install it")
        except (OSError, ValueError) as error:  # ValueError: a null byte in an argument
            why = error.strerror if isinstance(error, OSError) else "an argument or variable is no text"
            self._fail(f"failed: cannot be run: {why}", "correct its entry")

    def _command(self) -> str:
        """A relative path is one from the kubeconfig; a bare name is looked for in PATH."""
        command = self._said.command
        return str(self._folder / command) if os.sep in command else command

    def _environment(self, *, interactive: bool) -> dict[str, str]:
        spec: dict[str, Any] = {"interactive": interactive}
        if self._said.provide_cluster_info:
            spec["cluster"] = self._cluster()
        info = {"apiVersion": self._said.api_version, "kind": "ExecCredential", "spec": spec}
        own = {each.name: each.value for each in self._said.env or ()}
        try:
            told = msgspec.json.encode(info).decode()
        except (TypeError, ValueError, RecursionError):  # the extension of a cluster: YAML that no JSON says
            self._fail("cannot be told of its cluster, whose extension is no JSON", "correct the extension")
        return {**os.environ, **own, "KUBERNETES_EXEC_INFO": told}

    def _given(self, answer: bytes) -> Given:
        credential = self._read(answer)
        status = credential.status
        if credential.kind != "ExecCredential" or credential.api_version != self._said.api_version or status is None:
            self._fail("gave no ExecCredential with a status", f"have it write one of {self._said.api_version}")
        token = (status.token or "").strip()
        pair = self._pair(status)
        if not token and pair is None:
            self._fail("gave no token and no client certificate", "use one that does")
        headers = {"Authorization": f"Bearer {token_of(token, f'{self._where}: its token')}"} if token else {}
        expires = status.expiration_timestamp
        return Given(headers, pair, expires.timestamp() if expires is not None else math.inf)

    def _read(self, answer: bytes) -> _ExecCredential:
        try:
            credential: _ExecCredential = decoder_of(_ExecCredential).decode(answer)
        except UNREADABLE as error:  # none of them quotes what it found
            self._fail(f"gave no ExecCredential: {error}", f"have it write one of {self._said.api_version}")
        return credential

    def _pair(self, status: _Status) -> tuple[bytes, bytes] | None:
        certificate, key = status.client_certificate_data or "", status.client_key_data or ""
        if not certificate and not key:
            return None
        if not certificate or not key:
            self._fail("gave only one of client certificate and key", "use one that gives both")
        pair = certificate.encode(), key.encode()
        try:
            present(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), *pair)
        except (OSError, ValueError) as error:
            self._fail(f"gave a client certificate that cannot be read: {error}", "have it write PEM")
        return pair

    def _fail(self, what: str, todo: str) -> NoReturn:
        raise ConfigError(f"{self._where} {what}; {todo}")


async def _started(*command: str, **options: Any) -> Process:
    """As create_subprocess_exec, which kills only the child itself when it is cancelled after that has begun."""
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*command, **options))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait({starting})
        if not starting.cancelled() and starting.exception() is None:
            await _end(starting.result(), alone=options["process_group"] == 0)
        raise


async def _head(child: Process, *, alone: bool) -> bytes:
    """Return what the child writes to stdout; one that writes too much is killed, and read to its end."""
    found = bytearray()
    assert child.stdout is not None  # noqa: S101 - a pipe was asked for
    while part := await child.stdout.read(1 << 16):
        found += part[: LARGEST_ANSWER + 1 - len(found)]
        if len(found) > LARGEST_ANSWER:
            _kill(child, alone=alone)
    return bytes(found)


async def _tail(child: Process) -> str:
    """Return the end of what the child writes to stderr, as one line; nothing when that is the user's own."""
    found = b""
    while child.stderr is not None and (part := await child.stderr.read(1 << 16)):
        found = (found + part)[-4 * TOLD :]
    return _one_line(found.decode(errors="replace"))[-TOLD:]


def _one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _kill(child: Process, *, alone: bool) -> None:
    """Kill the child, with what it started where it is `alone` in its group."""
    with suppress(ProcessLookupError):
        if child.returncode is None and alone:
            os.killpg(child.pid, signal.SIGKILL)
        elif child.returncode is None:
            child.kill()


async def _end(child: Process, *, alone: bool) -> None:
    """Have the child come to its end, if it has not, and wait for that."""
    if child.returncode is not None:
        return
    _kill(child, alone=alone)
    with suppress(TimeoutError):
        async with asyncio.timeout(FAREWELL):
            await child.communicate()  # reads to the end: a pipe that is full would never be seen to close
