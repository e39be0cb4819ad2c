"""python -m tests.bench [--short] [--json FILE] [--only NAME]...: measures, prints a table, writes JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from hack.quickstart import model_file
from tests.bench import convergence, events, fetch, header, planning, restart, services, start, store
from tests.bench.figures import Figure, table, write

PARTS: dict[str, Callable[[bool], list[Figure]]] = {
    "store": lambda short: store.figures(2000 if short else 10_000),
    "events": lambda short: events.figures(100_000 if short else 1_000_000),
    "planning": lambda short: planning.figures(20 if short else 200),
    "services": lambda short: services.figures(500 if short else services.COUNT),
    "convergence": lambda short: convergence.figures(50, rounds=1) if short else convergence.figures(1000),
    "restart": lambda short: restart.figures(50 if short else restart.SERVICES),
    "fetch": lambda short: fetch.figures(1 << 26 if short else 1 << 30),
    "header": lambda short: header.figures(20_000 if short else 262_144, (20 if short else 250) << 20),
    "start": lambda short: start.figures(model_file(), 1 if short else 5),
}


@click.command()
@click.option("--short", is_flag=True, help="Small numbers: shows that it works, not how fast.")
@click.option("--json", "file", type=click.Path(path_type=Path), default=Path("build/bench.json"), show_default=True)
@click.option("--only", type=click.Choice(list(PARTS)), multiple=True, help="Leave the others out; repeatable.")
def main(*, short: bool, file: Path, only: tuple[str, ...]) -> None:
    """Measure, print and write."""
    found: list[Figure] = []
    for name in only or PARTS:
        click.echo(f"measuring {name} ...", err=True)
        found += PARTS[name](short)
    click.echo(table(found))
    write(found, file)


if __name__ == "__main__":
    main()
