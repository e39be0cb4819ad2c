"""The preStop hook against a real engine: it ends after the last answer, and not only then."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tests.component.drained import ENGINE, Engine, engine
from tests.real_engine import MISSING

from llmkube.desired.arguments import PORT
from llmkube.desired.drain import HOST, SCRIPT, hook

__all__ = ["engine"]
pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


def is_whole(events: list[str]) -> bool:
    reasons = [json.loads(each)["choices"][0]["finish_reason"] for each in events[:-1] if '"choices":[{' in each]
    return events[-1:] == ["[DONE]"] and reasons[-1] in {"stop", "length"}


@pytest.mark.parametrize("host", ["127.0.0.1", HOST])
@pytest.mark.parametrize("shell", SHELLS)
async def test_the_hook_ends_after_the_last_byte_of_the_answers_that_run_and_wait(
    engine: Engine, shell: str, host: str
) -> None:
    """The second request waits for the only slot: the engine has it in its queue."""
    first, second = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(engine.stream(40, first))
    await first.wait()
    waiting = asyncio.create_task(engine.stream(20, second))
    await asyncio.sleep(0.1)
    assert await engine.drain(shell, host=host) == 0
    assert running.done(), "the hook ended in the middle of an answer"
    assert waiting.done(), "the hook ended while a request waited for its turn"
    assert await engine.end() == 0
    assert is_whole(await running)
    assert is_whole(await waiting)


async def test_without_the_hook_an_answer_is_cut_off_or_hangs(engine: Engine) -> None:
    """Why there is a hook: should an engine ever end its answers by itself, this tells."""
    begun = asyncio.Event()
    running = asyncio.create_task(engine.stream(1500, begun))
    await begun.wait()
    engine.process.terminate()
    await asyncio.wait([running], timeout=5)
    running.cancel()
    (events,) = await asyncio.gather(running, return_exceptions=True)
    assert isinstance(events, BaseException) or not is_whole(events)


async def test_a_connection_that_never_ends_holds_the_hook_up_no_longer_than_its_bound(engine: Engine) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", engine.port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
    assert await engine.drain(most=2) == 0
    assert not writer.is_closing()
    writer.close()


async def test_connections_to_another_address_of_the_machine_hold_nothing_up(engine: Engine) -> None:
    """On one machine every pod has the same port, at an address of its own."""
    _, writer = await asyncio.open_connection("127.0.0.1", engine.port)
    await asyncio.wait_for(engine.drain(host="127.9.9.9", most=600), 60)
    writer.close()


async def test_where_the_kernel_has_no_table_of_connections_the_hook_waits_for_its_whole_time(tmp_path: Path) -> None:
    (tmp_path / "sleep").write_text('#!/bin/sh\necho "slept $1"')
    (tmp_path / "sleep").chmod(0o755)
    script = SCRIPT.replace("/proc/net/", "/nowhere/")
    command = ["/bin/sh", "-c", script, "drain", HOST, "8080", "0", "7"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={"PATH": str(tmp_path)}
    )
    output, _ = await process.communicate()
    assert output == b"slept 7\n"


def row(state: str, queue: int = 0, *, port: int = 8080) -> str:
    """A line of /proc/net/tcp, as Linux 6 writes it."""
    where = f"0100007F:{port:04X} 0200007F:D431"
    return (
        f"   0: {where} {state} {queue:08X}:00000000 00:00000000 00000000     0        0 31337 1 0000 20 4 30 10 -1\n"
    )


HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ESTABLISHED, SYN_RECV, FIN_WAIT1, FIN_WAIT2 = "01", "03", "04", "05"
TIME_WAIT, CLOSE_WAIT, LAST_ACK, LISTEN = "06", "08", "09", "0A"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "counts"),
    [
        (row(ESTABLISHED), True),
        (row(SYN_RECV), True),
        (row(CLOSE_WAIT), True),
        (row(FIN_WAIT1, 300), True),
        (row(LAST_ACK, 300), True),
        (row(FIN_WAIT1, 1), False),
        (row(LAST_ACK, 1), False),
        (row(FIN_WAIT2), False),
        (row(TIME_WAIT), False),
        (row(LISTEN), False),
        (row(ESTABLISHED, port=8081), False),
        ("", False),
    ],
)
async def test_the_hook_waits_for_what_may_still_bring_or_take_bytes(
    tmp_path: Path, shell: str, line: str, *, counts: bool
) -> None:
    (tmp_path / "tcp").write_text(HEAD + row(LISTEN) + line)
    words = [shutil.which(shell) or shell, *(["sh"] if shell == "busybox" else [])]
    script = "sleep() { echo slept; }\n" + SCRIPT.replace("/proc/net/", f"{tmp_path}/")
    command = [*words, "-c", script, "drain", HOST, "8080", "0", "9"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.count(b"slept") == (9 if counts else 1)


@pytest.mark.parametrize(("first", "ends"), [("exec {}", False), ("{} & wait", True)])
async def test_sigterm_ends_an_engine_that_loads_unless_it_is_process_1(
    tmp_path: Path, first: str, *, ends: bool
) -> None:
    """Why pods share a process namespace: their pause container is process 1 then, as the shell is here."""
    if (
        ENGINE is None
        or subprocess.run(["unshare", "--pid", "--fork", "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip(
            f"NOT tested: that a pod stops while it loads; needs root for unshare, and a llama-server ({MISSING})"
        )
    os.mkfifo(tmp_path / "never.gguf")
    command = first.format(f"{ENGINE} --model {tmp_path / 'never.gguf'} --port 1")
    shell = await asyncio.create_subprocess_exec(
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        pid = await asyncio.wait_for(loading(tmp_path), 20)
        os.kill(pid, signal.SIGTERM)
        await asyncio.sleep(2)
        assert Path(f"/proc/{pid}").exists() != ends
    finally:
        with contextlib.suppress(ProcessLookupError):
            shell.kill()
        await shell.wait()


async def loading(folder: Path) -> int:
    """Return the engine that waits for its model to be readable."""
    while True:
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode().split("\0")
                if "sh" not in words[0] and "--model" in words and str(folder / "never.gguf") in words:
                    await asyncio.sleep(0.5)
                    return int(entry.name)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(("grace", "least", "most"), [(300, 5, 295), (60, 5, 55), (10, 5, 5), (6, 3, 3), (1, 1, 1)])
def test_the_hook_leaves_the_engine_a_part_of_the_grace(grace: int, least: int, most: int) -> None:
    assert hook(grace)["exec"]["command"][3:] == ["drain", HOST, str(PORT), str(least), str(most)]
