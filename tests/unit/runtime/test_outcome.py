"""What a reconcile came to, as a value."""

from __future__ import annotations

import asyncio

import pytest

from llmkube.kube.errors import ApiError, Conflict, FencedError, Forbidden, Invalid, ServerError
from llmkube.runtime.outcome import (
    Failed,
    Outcome,
    Panicked,
    Result,
    Terminal,
    TerminalError,
    TimedOut,
    attempt,
    classify,
)

POLICY = "ValidatingAdmissionPolicy 'gpus' with binding 'all' denied request"
TERMINATING = {"causes": [{"reason": "NamespaceTerminating"}]}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TerminalError("x"), Terminal),
        (Invalid(422, "Invalid", "x"), Terminal),
        (Invalid(422, "Invalid", f'deployments.apps "x" is forbidden: {POLICY}: no GPUs'), Failed),
        (ApiError(400, "", 'admission webhook "p.example" denied the request: no GPUs'), Failed),
        (Invalid(422, "Invalid", 'admission webhook "p.example" denied the request without explanation'), Failed),
        (Conflict(409, "Conflict", "x"), Failed),
        (ServerError(500, "InternalError", "x"), Failed),
        (FencedError("not the leader"), Failed),
        (Forbidden(403, "Forbidden", "x"), Failed),
        (Forbidden(403, "Forbidden", "x", TERMINATING), Result),
        (OSError("x"), Failed),
        (KeyError("x"), Panicked),
        (ExceptionGroup("", [TerminalError("x"), OSError("x")]), Failed),
        (ExceptionGroup("", [OSError("x"), KeyError("x")]), Panicked),
    ],
)
def test_an_error_is_what_trying_again_may_do_about_it(error: Exception, kind: type[Outcome]) -> None:
    assert isinstance(classify(error), kind)


async def test_the_cancellation_of_the_worker_itself_goes_through() -> None:
    async def hang() -> Result:
        await asyncio.Event().wait()
        return Result()

    task = asyncio.create_task(attempt(hang, timeout=60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_future_inside_a_reconcile_is_its_own_failure() -> None:
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    future.cancel()

    async def wait() -> Result:
        return await future

    assert isinstance(await attempt(wait, timeout=60), Panicked)


async def test_an_outcome_of_time_says_how_much_it_was() -> None:
    async def hang() -> Result:
        await asyncio.Event().wait()
        return Result()

    assert await attempt(hang, timeout=0.01) == TimedOut(0.01)
