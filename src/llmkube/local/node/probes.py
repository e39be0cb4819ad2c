"""Probes of one running container: startup first, then readiness and liveness, with the kubelet's thresholds.

Deciding is pure (`Verdict`); asking is `check`. A probe never touches the process: it reports to its container.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import aiohttp

if TYPE_CHECKING:
    from llmkube.local.objects import Object

EAGER_PERIOD = 0.1
Execute = Callable[[list[str], float], Awaitable[tuple[int, str]]]
"""Command and time limit to exit code and output, in the container's environment."""


class Outcome(NamedTuple):
    ok: bool
    message: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a series of outcomes amounts to. None: not decided yet."""

    success_threshold: int
    failure_threshold: int
    successes: int = 0
    failures: int = 0
    state: bool | None = None

    @staticmethod
    def of(probe: Object) -> Verdict:
        return Verdict(probe.get("successThreshold") or 1, probe.get("failureThreshold") or 3)

    def after(self, outcome: Outcome) -> Verdict:
        successes = self.successes + 1 if outcome.ok else 0
        failures = 0 if outcome.ok else self.failures + 1
        state = self.state
        if successes >= self.success_threshold:
            state = True
        elif failures >= self.failure_threshold:
            state = False
        return Verdict(self.success_threshold, self.failure_threshold, successes, failures, state)


@dataclass(frozen=True)
class Target:
    """Where a container's probes and hooks go."""

    address: str
    ports: dict[str, int]
    session: aiohttp.ClientSession
    execute: Execute

    def port(self, port: int | str) -> int:
        """A number, or the number of a named port."""
        if isinstance(port, int):
            return port
        if port in self.ports:
            return self.ports[port]
        if port.isdigit():
            return int(port)
        raise ValueError(f"no container port is named {port!r}; named ports: {', '.join(self.ports) or 'none'}")


async def check(handler: Object, target: Target, *, timeout: float) -> Outcome:
    """One look; whatever goes wrong is the outcome, never an error."""
    try:
        async with asyncio.timeout(timeout):
            return await _ask(handler, target, timeout=timeout)
    except TimeoutError:
        return Outcome(ok=False, message=f"no answer within {timeout:g}s")
    except (OSError, aiohttp.ClientError, ValueError) as error:
        return Outcome(ok=False, message=str(error) or type(error).__name__)


async def _ask(handler: Object, target: Target, *, timeout: float) -> Outcome:
    if "httpGet" in handler:
        return await _http(handler["httpGet"], target)
    if "tcpSocket" in handler:
        return await _tcp(handler["tcpSocket"], target)
    if "sleep" in handler:
        await asyncio.sleep(handler["sleep"].get("seconds", 0))
        return Outcome(ok=True)
    code, output = await target.execute(list(handler["exec"]["command"]), timeout)
    return Outcome(ok=code == 0, message=f"command exited with {code}: {output.strip()[:256]}")


async def _http(action: Object, target: Target) -> Outcome:
    """200 to 399 is success; a redirect is not followed; certificates are not verified, as in the kubelet."""
    scheme = str(action.get("scheme") or "HTTP").lower()
    host = action.get("host") or target.address
    path = str(action.get("path") or "/").lstrip("/")
    url = f"{scheme}://{host}:{target.port(action['port'])}/{path}"
    headers = {header["name"]: header["value"] for header in action.get("httpHeaders") or ()}
    async with target.session.get(url, headers=headers, allow_redirects=False, ssl=_unverified(scheme)) as response:
        ok = 200 <= response.status < 400
        return Outcome(ok=ok, message=f"HTTP probe failed with statuscode: {response.status}")


def _unverified(scheme: str) -> ssl.SSLContext | bool:
    if scheme != "https":
        return True
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _tcp(action: Object, target: Target) -> Outcome:
    _, writer = await asyncio.open_connection(action.get("host") or target.address, target.port(action["port"]))
    writer.close()
    return Outcome(ok=True)


async def watch(
    probe: Object,
    target: Target,
    *,
    on_outcome: Callable[[Outcome], None],
    on_state: Callable[[bool], None],
    eager: bool = False,
) -> None:
    """Asks for ever; reports every outcome, and the state each time that it is decided anew.

    An eager one looks many times between two looks that count, and a success counts at once: a period is whole
    seconds, and whoever waits for a start waits for it as well.
    """
    verdict = Verdict.of(probe)
    await asyncio.sleep(probe.get("initialDelaySeconds") or 0)
    period = float(probe.get("periodSeconds") or 10)
    early: Outcome | None = None
    while True:
        outcome = early or await check(probe, target, timeout=probe.get("timeoutSeconds") or 1)
        before, verdict = verdict.state, verdict.after(outcome)
        on_outcome(outcome)
        if verdict.state is not None and verdict.state != before:
            on_state(verdict.state)
        early = await _success_within(period, probe, target, eager=eager)


async def _success_within(seconds: float, probe: Object, target: Target, *, eager: bool) -> Outcome | None:
    """Return after so many seconds, or with the first success before; no command is run for it."""
    loop = asyncio.get_running_loop()
    end, wait = loop.time() + seconds, EAGER_PERIOD if eager and "exec" not in probe else seconds
    while (left := end - loop.time()) > 0:
        await asyncio.sleep(min(left, wait))
        if left > wait:
            outcome = await check(probe, target, timeout=min(left, probe.get("timeoutSeconds") or 1))
            if outcome.ok:
                return outcome
    return None
