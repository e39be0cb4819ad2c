"""`python -m llmkube.local.engine`: the package xllamacpp behind llama-server's own command line.

It serves until SIGTERM or SIGINT. Exit codes: 0 stopped or help, 1 the engine did not start, 2 a flag was refused.
It never ignores a flag: what it cannot honour it refuses by name, before anything is loaded.
"""

from __future__ import annotations

import functools
import os
import signal
import socket
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NoReturn

from llmkube.local.engine.flags import FLAGS, VARIABLES, FlagError, from_environment, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmkube.local.engine.flags import Setting

# What llama-server does when the flags say nothing, where the package's own default differs.
DEFAULTS: Sequence[Setting] = (("hostnames", ["127.0.0.1"]), ("port", 8080))


def main(arguments: Sequence[str]) -> int:
    """Serve as the flags say; return the exit code when there is nothing to serve."""
    if {"--help", "-h", "--usage"} & set(arguments):
        print("llama-server's flags that this launcher honours:", " ".join(sorted(FLAGS)), sep="\n")
        return 0
    if "--version" in arguments:
        print(f"version: xllamacpp {version('xllamacpp')}")
        return 0
    try:
        settings = parse([*from_environment(os.environ), *arguments])
    except FlagError as error:
        return _fail(2, str(error))
    if not any(attribute == "model.path" for attribute, _ in settings):
        return _fail(2, "--model: expected the path of a GGUF, found none; give it one")
    for name in sorted(name for name in os.environ if name.startswith("LLAMA_ARG_") and name not in VARIABLES):
        _say(f"warning: {name}: not read by this launcher; give llama-server's flag instead")
    return _serve(_parameters([*DEFAULTS, *settings]))


def _parameters(settings: Iterable[Setting]) -> Any:
    """Return xllamacpp's parameters with every setting applied; prompts get the threads of generation by default."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    for path, value in settings:
        holder, _, attribute = path.rpartition(".")
        target = functools.reduce(getattr, holder.split("."), parameters) if holder else parameters
        setattr(target, attribute, _adapters(value) if path == "lora_adapters" else value)
    if parameters.cpuparams_batch.n_threads < 0:
        parameters.cpuparams_batch.n_threads = parameters.cpuparams.n_threads
    return parameters


def _adapters(pairs: Iterable[tuple[str, float]]) -> list[Any]:
    import xllamacpp

    found = []
    for path, scale in pairs:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = path, scale
        found.append(adapter)
    return found


def _serve(parameters: Any) -> int:  # noqa: RET503 - _exit_on does not return
    import xllamacpp

    _say(
        f"xllamacpp {version('xllamacpp')}: model {parameters.model.path}, context {parameters.n_ctx}, "
        f"slots {parameters.n_parallel}, threads {parameters.cpuparams.n_threads}, GPU layers {parameters.n_gpu_layers}"
    )
    try:
        # Holds the interpreter while it loads: until it returns, SIGTERM ends the process by its default action.
        server = xllamacpp.Server(parameters)
    except RuntimeError as error:
        place = f"{parameters.hostnames[0]}:{parameters.port}"
        return _fail(1, f"expected to serve {parameters.model.path} on {place}: {error} See the engine's lines above")
    # The engine itself says where it listens. A line of ours would be torn: its logger writes a line in several pieces.
    _exit_on(_wait(server))


def _wait(_server: Any) -> int:
    """Hold the server until a signal comes, and return it; whichever thread receives it, the main thread wakes up."""
    receiver, sender = socket.socketpair()
    sender.setblocking(False)  # noqa: FBT003
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return receiver.recv(1)[0]


def _exit_on(number: int) -> NoReturn:
    """Exit at once: the engine's own shutdown waits for streams in flight, without bound."""
    _say(f"{signal.Signals(number).name}: stopped")
    os._exit(0)


def _fail(code: int, line: str) -> int:
    _say(f"error: {line}")
    return code


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    # A failed start leaves the engine's threads behind, which an ordinary exit would wait for.
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
