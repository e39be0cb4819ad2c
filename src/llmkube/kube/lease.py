"""Leadership by a Lease (coordination.k8s.io/v1), as client-go does it: at most one process works at a time.

Whether another's lease has expired is judged by when *we* last saw it change, on our monotonic clock: two machines'
times of day may differ. Every write carries the resourceVersion that was read, so that of two that race one loses.

A lease that is not there proves nothing: it may have been deleted under a holder that nobody here ever saw. Who makes
it holds it for one duration before leading; manifests/base brings one that nobody holds, which is taken at once.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from llmkube.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from llmkube.kube.kinds import LEASE, Key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from llmkube.kube.client import Client, Manifest
    from llmkube.kube.objects import Lease

log = structlog.get_logger(__name__)


JITTER = 1.2


@dataclass(frozen=True)
class Timing:
    """Seconds, with client-go's defaults: a lease is good for `duration`, its holder gives up when no renewal came
    through for `renew_deadline`, and everybody tries every `retry`."""

    duration: int = 15
    renew_deadline: float = 10.0
    retry: float = 2.0

    def trouble(self) -> str:
        """Return why two processes could lead at once with these, or nobody for long; empty when all is well."""
        if not self.duration > self.renew_deadline:
            return (
                f"expected a lease duration above the renew deadline, found {self.duration} and {self.renew_deadline:g}"
            )
        if not self.renew_deadline > JITTER * self.retry > 0:
            found = f"{self.renew_deadline:g} and {self.retry:g}"
            return f"expected a renew deadline above {JITTER} times the retry period, found {found}"
        return ""


class LeaseLostError(Exception):
    """The lease could not be held: another process may be leading by now. The only safe answer is to exit."""


class Clock(Protocol):
    """The part of a clock that is needed here."""

    def monotonic(self) -> float: ...
    def now(self) -> datetime: ...


@dataclass(frozen=True)
class Seen:
    """A lease as it was when it last changed, and when we saw that."""

    lease: Lease
    at: float


class LeaderElector:
    """Runs for one lease. `identity` must differ between processes; it shows in the lease as its holder."""

    def __init__(
        self, client: Client, *, namespace: str, name: str, identity: str, clock: Clock, timing: Timing | None = None
    ) -> None:
        self.name = name
        self.identity = identity
        self._client = client
        self._key = Key(namespace, name)
        self._clock = clock
        self._timing = timing or Timing()
        self._seen: Seen | None = None
        self._renewed: float | None = None
        self._alone_from = float("-inf")

    async def run(self, on_started: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, hold it while `on_started` runs, then give it up; LeaseLostError when it is lost."""
        await self._acquire()
        lost: list[Exception] = []
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(self._keep(), name="lease")
                await self._until_alone()
                log.info("leading", lease=str(self._key), identity=self.identity)
                await on_started()
                keeping.cancel()
        except* LeaseLostError as errors:
            lost += errors.exceptions
        finally:
            if self._renewed is not None:
                await self._release()
        if lost:
            raise lost[0]

    def check(self) -> str:
        """What is wrong: leading with a lease that was not renewed in time. Empty when nothing is."""
        if self._renewed is None or self._clock.monotonic() - self._renewed <= self._timing.duration:
            return ""
        return f"leading, but lease {self._key} was not renewed for more than {self._timing.duration} s"

    def seconds_left(self) -> float:
        """For how long nobody else can lead: what a write may take at most. 0 when this process does not lead."""
        now = self._clock.monotonic()
        if self._renewed is None or now < self._alone_from:
            return 0.0
        return max(0.0, self._renewed + self._timing.duration - now)

    async def _acquire(self) -> None:
        while not await self._try():  # noqa: ASYNC110 - it polls the API server, not a variable
            await asyncio.sleep(self._timing.retry * random.uniform(1.0, JITTER))  # noqa: S311 - jitter

    async def _until_alone(self) -> None:
        while (left := self._alone_from - self._clock.monotonic()) > 0:  # noqa: ASYNC110 - a clock tells nobody
            await asyncio.sleep(min(self._timing.retry, left))

    async def _keep(self) -> None:
        """Renew; give up when no renewal has come through for the renew deadline."""
        while (left := self._until_deadline()) > 0:
            await asyncio.sleep(min(self._timing.retry, left))
            await self._try(within=max(self._until_deadline(), 0.0))
        deadline = self._timing.renew_deadline
        raise self._lost(f"not renewed for {deadline:g} s; another may lead now")

    def _until_deadline(self) -> float:
        renewed = float("-inf") if self._renewed is None else self._renewed
        return renewed + self._timing.renew_deadline - self._clock.monotonic()

    async def _try(self, *, within: float = float("inf")) -> bool:
        """One attempt to hold the lease for another term, bounded in time."""
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(min(within, self._timing.renew_deadline / 2)):
                held = await self._hold()
        except (KubeError, TimeoutError) as error:
            log.warning("could not take or renew the lease", lease=str(self._key), error=str(error) or "timed out")
            return False
        if held:
            self._renewed = started
        elif self._renewed is not None and self._holder() != self.identity:
            raise self._lost(f"taken by {self._holder()!r}")
        return held

    def _lost(self, why: str) -> LeaseLostError:
        """From here on no write may leave, also not of work that is only being cancelled."""
        self._renewed = None
        return LeaseLostError(f"lease {self._key}: {why}")

    async def _hold(self) -> bool:
        try:
            lease = await self._client.get(LEASE, self._key)
        except NotFound:
            return await self._create()
        self._observe(lease)
        if self._is_anothers():
            return False
        self._doubt()
        try:
            written = await self._client.replace(LEASE, self._manifest(lease, self.identity))
        except Conflict:
            return False
        self._observe(written)
        return self._holder() == self.identity

    def _doubt(self) -> None:
        """A lease in our name that we do not lead with was made by a request whose answer was lost: as `_create`."""
        if self._renewed is None and self._seen is not None and self._holder() == self.identity:
            self._alone_from = self._seen.at + self._timing.duration

    async def _create(self) -> bool:
        """Make the lease that is not there; who is not sure to lead already waits before it does."""
        if self._is_anothers():
            return False
        try:
            self._observe(await self._client.create(LEASE, self._manifest(None, self.identity)))
        except AlreadyExists:
            return False
        if self.seconds_left() == 0:
            self._alone_from = self._clock.monotonic() + self._timing.duration
        return True

    async def _release(self) -> None:
        """Best effort: whoever waits takes over at once instead of after the lease's duration.

        Read anew, because a renewal whose answer was not waited for may have changed it. Who is not sure to lead alone
        leaves its name in it: whose lease it was before, deleted under it, may lead until this one runs out.
        """
        self._renewed = None
        if self._clock.monotonic() < self._alone_from:
            return
        try:
            async with asyncio.timeout(self._timing.renew_deadline / 2):
                lease = await self._client.get(LEASE, self._key)
                if lease.spec.holder_identity == self.identity:
                    await self._client.replace(LEASE, self._manifest(lease, ""))
        except (KubeError, TimeoutError) as error:
            log.warning("could not release the lease", lease=str(self._key), error=str(error) or "timed out")

    def _observe(self, lease: Lease) -> None:
        if self._seen is None or self._seen.lease.metadata.resource_version != lease.metadata.resource_version:
            self._seen = Seen(lease, self._clock.monotonic())

    def _is_anothers(self) -> bool:
        """Whether somebody else may be leading: also when the lease is gone, which its holder need not know yet."""
        return self._holder() not in ("", self.identity) and not self._has_expired()

    def _has_expired(self) -> bool:
        if self._seen is None:
            return False
        duration = self._seen.lease.spec.lease_duration_seconds or self._timing.duration
        return self._clock.monotonic() - self._seen.at > duration

    def _holder(self) -> str:
        return (self._seen.lease.spec.holder_identity or "") if self._seen else ""

    def _manifest(self, lease: Lease | None, holder: str) -> Manifest:
        """The lease with a new holder; a change of holder is a transition and a new acquisition."""
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = lease.spec if lease else None
        same = before is not None and before.holder_identity == holder
        transitions = (before.lease_transitions or 0) if before else 0
        metadata = {"namespace": self._key.namespace, "name": self._key.name}
        if lease is not None:
            metadata["resourceVersion"] = lease.metadata.resource_version
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": self._timing.duration if holder else 1,
            "acquireTime": before.acquire_time if before and same else now,
            "renewTime": now,
            "leaseTransitions": transitions + (0 if same or lease is None or not holder else 1),
        }
        return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}
