"""The command of hack/controlplane/controlplane, which says how it is used."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from hack.controlplane.binary import binary
from hack.controlplane.cluster import start, started, stop
from hack.controlplane.module import HERE, checked, default_version, write_module
from hack.gobuild import BuildError, say


def main() -> int:
    """Run the command; an error that a person can mend is told without a traceback."""
    signal.signal(signal.SIGTERM, _terminated)
    asked = _parser().parse_args()
    try:
        asked.run(asked)
    except BuildError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _terminated(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hack/controlplane/controlplane", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for run, text in ((_up, "start in DIR"), (_down, "stop what runs in DIR"), (_build, "only build the binary")):
        command = commands.add_parser(run.__name__.strip("_"), help=text)
        command.set_defaults(run=run)
        if run is not _build:
            command.add_argument("directory", type=Path, metavar="DIR")
        if run is not _down:
            command.add_argument("--kubernetes", metavar="X.Y.Z", help=f"version, {default_version()} by default")
        if run is _up:
            command.add_argument("--foreground", action="store_true", help="stay, and end it when this command ends")
    pin = commands.add_parser("pin", help="make a version the default: writes go.mod and go.sum")
    pin.add_argument("kubernetes", metavar="X.Y.Z")
    pin.set_defaults(run=_pin)
    return parser


def _up(asked: argparse.Namespace) -> None:
    program, began = binary(asked.kubernetes), time.monotonic()
    if not asked.foreground:
        _tell(start(asked.directory, program, tied=False).kubeconfig, began)
        return
    with started(asked.directory, program) as cluster:
        _tell(cluster.kubeconfig, began)
        cluster.watch()


def _tell(kubeconfig: Path, began: float) -> None:
    say(f"ready after {time.monotonic() - began:.1f} s")
    print(kubeconfig, flush=True)


def _down(asked: argparse.Namespace) -> None:
    stop(asked.directory)


def _build(asked: argparse.Namespace) -> None:
    print(binary(asked.kubernetes))


def _pin(asked: argparse.Namespace) -> None:
    write_module(HERE, checked(asked.kubernetes))


if __name__ == "__main__":
    sys.exit(main())
