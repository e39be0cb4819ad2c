"""python -m tests.certify [--short] [--engine NAME] [--json FILE] [--only MODEL]...: loads, compares, tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
from tests.certify import cases, comparing, real, sliced
from tests.certify.architectures import all_models
from tests.certify.engine import Engine, EngineError, in_process, llama_server, load, tried, version, with_devices
from tests.certify.large import large
from tests.certify.peer import Peer, peer
from tests.certify.writing import write
from tests.real_engine import MISSING

from llmkube.gguf.plan.memory import plan

ENGINES = {"llama-server": llama_server, "xllamacpp": in_process}
FOLDER = Path("build/certify").resolve()


@click.command()
@click.option("--engine", "name", type=click.Choice(list(ENGINES)), default="llama-server", show_default=True)
@click.option("--short", is_flag=True, help="Two loads of each model, no devices, no peer.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Every comparison, as JSON.")
@click.option("--only", multiple=True, help="The names of models; repeatable.")
def main(*, name: str, short: bool, file: Path | None, only: tuple[str, ...]) -> None:
    """Load small models of every architecture in a real engine and compare the plan with its log."""
    engine = ENGINES[name]()
    if engine is None:
        raise click.ClickException(f"no {name}: {MISSING}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    click.echo(f"engine: {version(engine)}", err=True)
    with ExitStack() as running:
        devices = (
            None if short or name != "llama-server" else running.enter_context(with_devices(engine, cases.DEVICES))
        )
        asked = None if short else _peer(running)
        found = list(_rows(engine, devices, asked, only, short=short))
        slices = list(_sliced(engine, only)) if devices else []
        tries = list(_tried(engine, devices, only)) if devices else []
    for rows in (found, slices, tries):
        click.echo(f"{comparing.table(rows)}\n\n{comparing.summary(rows)}\n" if rows else "", nl=bool(rows))
    if file:
        told = {"engine": version(engine), "rows": comparing.as_json(found)}
        told |= {"slices": comparing.as_json(slices), "tried": comparing.as_json(tries)}
        file.write_text(json.dumps(told, indent=1) + "\n")
    every = found + slices + tries
    wrong = [row for row in every if not row.is_allowed]
    click.echo(f"{len(every)} buffers compared, {len(wrong)} of them off by more than is allowed", err=True)
    for row in wrong:
        click.echo(f"  {row}", err=True)
    raise SystemExit(1 if wrong or not every else 0)


def _peer(running: ExitStack) -> Peer | None:
    try:
        return running.enter_context(peer(FOLDER))
    except RuntimeError as error:
        click.echo(f"NO peer: {error}", err=True)
        return None


def _models(only: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    for model in all_models():
        if not only or model.name in only:
            yield model.name, write(model, FOLDER)
    for name, path in (("SmolLM2-135M", real.smollm2()), ("Gemma-3-270m", real.gemma3(FOLDER))):
        if path is None:
            click.echo(f"NO {name}: its package is not installed; the real model is NOT compared", err=True)
        elif not only or name in only:
            yield name, path


def _rows(
    engine: Engine, devices: Engine | None, asked: Peer | None, only: tuple[str, ...], *, short: bool
) -> Iterator[comparing.Row]:
    options = cases.SHORT if short else cases.ALONE + cases.TOGETHER
    for name, path in _models(only):
        for case in cases.cases(name, path, options + (cases.ON_DEVICES if devices else ())):
            yield from _compared(devices if case.options.gpus and devices else engine, case, asked)


def _sliced(engine: Engine, only: tuple[str, ...]) -> Iterator[comparing.Row]:
    """Models of which every device has a part of every matrix; what the plan refuses, the engine has to refuse."""
    for name, path in _models(only):
        for case in cases.cases(name, path, cases.SLICES + cases.MORE_SLICES):
            try:
                yield from sliced.compared(engine, case)
            except EngineError as error:
                click.echo(f"NOT LOADED: {case.name} {case.told}: {error}", err=True)


def _tried(engine: Engine, devices: Engine, only: tuple[str, ...]) -> Iterator[comparing.Row]:
    """Models of the sizes that people serve, by the engine's own trial."""
    for model in large():
        if only and model.name not in only:
            continue
        for case in cases.cases(model.name, write(model, FOLDER), cases.LARGE + cases.LARGE_ON_DEVICES):
            found = tried(devices if case.options.gpus else engine, case.path, case.options)
            yield from comparing.rows(case, comparing.summed(plan(case.facts, case.options)), found)


def _compared(engine: Engine, case: cases.Case, asked: Peer | None) -> list[comparing.Row]:
    try:
        loaded = load(engine, case.path, case.options)
    except EngineError as error:
        click.echo(f"NOT LOADED: {case.name} {case.told}: {error}", err=True)
        return []
    found = comparing.rows(case, plan(case.facts, case.options), loaded, asked.asks(case) if asked else None)
    return [row for row in found if row.buffer not in engine.blurs]


if __name__ == "__main__":
    main()
