# ruff: noqa: PTH105, PTH123, S606, UP031 - pathlib and string formatting machinery would cost every container time
"""The parent of one container process: starts it, keeps its log, writes down how it ended.

Run as `python -I -S shim.py RECORD LOG LIVENESS_FD CWD -- PROGRAM ARGS...` with the container's environment. It
outlives the node: a killed node loses no exit code and no output. It must import nothing but cheap modules of the
standard library (one shim runs for every container) and must never start the program twice.

Files, all beginning with RECORD: `.started` (pid, start time, boot) is on disk before the program runs its first
instruction; `.ended` (exit code) before the shim goes. The write end of a FIFO (LIVENESS_FD) stays open as long as the
shim lives: its closing, by exit or by SIGKILL, is how the node learns of an end, with no pid that could be reused.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn  # importing typing would cost every container 10 ms

LOG_LIMIT = 10 * 1024 * 1024
LINE_LIMIT = 16 * 1024
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main(argv: list[str]) -> None:
    record, log, liveness, cwd = argv[1], argv[2], int(argv[3]), argv[4]
    with contextlib.suppress(PermissionError):
        os.setsid()
    os.set_inheritable(liveness, False)  # noqa: FBT003 - the function takes no keyword
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake = wake_on_signals()
    output, output_end = os.pipe()
    errors, errors_end = os.pipe()
    gate, gate_end = os.pipe()
    failure, failure_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        become(argv[6:], cwd=cwd, gate=gate, failure=failure_end, output=output_end, errors=errors_end)
    for end in (output_end, errors_end, gate, failure_end):
        os.close(end)
    signal.signal(signal.SIGTERM, lambda *_: signal_group(pid, signal.SIGTERM))
    write_record(
        record + ".started", {"pid": pid, "start": start_time(pid), "boot": boot_id(), "shim": os.getpid(), "at": now()}
    )
    os.write(gate_end, b"1")
    os.close(gate_end)
    message = read_all(failure).decode("utf-8", "replace")
    code = pump(Log(log), {output: "stdout", errors: "stderr"}, wake=wake, pid=pid)
    ended: dict[str, object] = {"exitCode": 128 if message else code, "at": now()}
    if message:
        ended.update(reason="StartError", message=message)
    write_record(record + ".ended", ended)


def prctl(option: int, value: int) -> None:
    """Linux only; elsewhere a killed shim leaves its program to the node, which ends the group."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def wake_on_signals() -> int:
    read_end, write_end = os.pipe()
    for end in (read_end, write_end):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for ignored in (signal.SIGHUP, signal.SIGINT):
        signal.signal(ignored, signal.SIG_IGN)
    return read_end


def become(program: list[str], *, cwd: str, gate: int, failure: int, output: int, errors: int) -> NoReturn:
    """The child: waits until it is on record, then becomes the program. Never returns."""
    try:
        parent = os.getppid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent or os.read(gate, 2) != b"1":
            os._exit(137)
        os.setsid()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(errors, 2)
        os.chdir(cwd)
        os.execvpe(program[0], program, os.environ)
    except OSError as error:
        os.write(failure, (f"{program[0]}: {os.strerror(error.errno or errno.EIO)}").encode())
    finally:
        os._exit(127)


def pump(log: Log, streams: dict[int, str], *, wake: int, pid: int) -> int:
    """Copies output into the log until the program has ended and what it wrote is read; returns its exit code."""
    buffers = dict.fromkeys(streams, b"")
    code = None
    open_fds = set(streams)
    while code is None or open_fds:
        ready, _, _ = select.select([wake, *open_fds], [], [], None if code is None else 0)
        if code is not None and not ready:
            break  # a process that left the group may hold the pipe for ever; nothing is waiting in it
        if wake in ready:
            drain(wake)
        for fd in open_fds.intersection(ready):
            data = os.read(fd, 65536)
            if not data:
                open_fds.discard(fd)
            buffers[fd] = log.lines(streams[fd], buffers[fd] + data)
        if code is None:
            code = reap(pid)
    for fd, rest in buffers.items():
        log.partial(streams[fd], rest)
    return code


def drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(fd, 512):
            pass


def reap(pid: int) -> int | None:
    """Reaps whatever ended; when it is the program, everything it started ends with it, as in a container."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        found, status = os.waitpid(pid, os.WNOHANG)
        return finish(status) if found else None
    while ended := peek():
        if ended == pid:
            signal_group(pid, signal.SIGKILL)  # before it is reaped: its number cannot be another's yet
            return finish(os.waitpid(pid, 0)[1])
        os.waitpid(ended, 0)
    return None


def peek() -> int:
    """The pid of a child that ended and is not reaped yet; 0 for none."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return found.si_pid if found else 0


def finish(status: int) -> int:
    """The exit code as container runtimes give it, once nothing of the program is left."""
    end_orphans()
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def end_orphans() -> None:
    """Processes that left the group became ours (subreaper); they end too. Bounded: one that cannot die is left."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for child in children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return


def children() -> list[int]:
    try:
        with open("/proc/self/task/%d/children" % os.getpid()) as listing:
            return [int(word) for word in listing.read().split()]
    except OSError:
        return []


def signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def start_time(pid: int) -> int:
    """Clock ticks since boot at which the process began: with the pid, an identity that is never reused."""
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return int(stat.read().rpartition(")")[2].split()[19])
    except OSError:
        return 0


def boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as identity:
            return identity.read().strip()
    except OSError:
        return ""


def now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".%09dZ" % nanoseconds


def read_all(fd: int) -> bytes:
    parts = []
    while part := os.read(fd, 4096):
        parts.append(part)
    os.close(fd)
    return b"".join(parts)


def write_record(path: str, value: dict[str, object]) -> None:
    with open(path + ".new", "w") as record:
        json.dump(value, record)
        record.flush()
        os.fsync(record.fileno())
    os.replace(path + ".new", path)


class Log:
    """Lines in the CRI format (`time stream F|P text`), in one file and the one before it, each of LOG_LIMIT bytes."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = self.open()
        self.size = os.fstat(self.fd).st_size

    def open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def lines(self, stream: str, data: bytes) -> bytes:
        """Writes the whole lines of data; returns what is left of an unfinished one."""
        *whole, rest = data.split(b"\n")
        moment = now().encode()
        for line in whole:
            self.write(b"%s %s F %s\n" % (moment, stream.encode(), line))
        while len(rest) > LINE_LIMIT:
            self.partial(stream, rest[:LINE_LIMIT])
            rest = rest[LINE_LIMIT:]
        return rest

    def partial(self, stream: str, data: bytes) -> None:
        if data:
            self.write(b"%s %s P %s\n" % (now().encode(), stream.encode(), data))

    def write(self, data: bytes) -> None:
        """A full disk loses log lines, never the program."""
        if self.size + len(data) > LOG_LIMIT:
            self.rotate()
        with contextlib.suppress(OSError):
            self.size += os.write(self.fd, data)

    def rotate(self) -> None:
        with contextlib.suppress(OSError):
            os.replace(self.path, self.path + ".1")
            os.close(self.fd)
            self.fd = self.open()
            self.size = 0


if __name__ == "__main__":
    main(sys.argv)
