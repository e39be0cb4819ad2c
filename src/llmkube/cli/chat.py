"""`llmkube chat`: one question and its answer, or a session at a prompt, where ctrl-C stops an answer only."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import unicodedata
from typing import TYPE_CHECKING

import click

from llmkube.cli.completion import completed
from llmkube.cli.connection import Target, connected, quietly
from llmkube.cli.errors import CommandError, one_line

if TYPE_CHECKING:
    from llmkube.cli.conversation import Conversation, Piece

PROMPT = "> "
HELP = "/forget begins anew, /bye or ctrl-D ends, ctrl-C stops an answer"


@click.command(
    epilog="""\b
Examples:
  llmkube chat smollm2
  llmkube chat smollm2 "What does a lighthouse keeper do?"
  git diff | llmkube chat coder - --system "Write a commit message."
"""
)
@click.argument("name", shell_complete=completed("inferenceservices"))
@click.argument("prompt", required=False)
@click.option("--system", metavar="TEXT", help="System prompt.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Longest answer.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="0 is the most predictable.")
@connected()
def chat(
    name: str,
    prompt: str | None,
    *,
    system: str | None,
    max_tokens: int | None,
    temperature: float | None,
    target: Target,
) -> None:
    """Talk to an InferenceService; answers stream as they are made.

    With a PROMPT, prints the answer and ends; - reads the prompt from stdin. Goes through the API server, so it works
    wherever kubectl works.
    """
    quietly()
    with one_line():
        from llmkube.cli.conversation import Settings, begin

        with asyncio.Runner() as runner:
            session = contextlib.AsyncExitStack()
            try:
                connection = runner.run(session.enter_async_context(target.connect()))
                conversation = runner.run(begin(connection, name, Settings(system, max_tokens, temperature)))
                _talk(runner, conversation, prompt)
            finally:
                runner.run(session.aclose())


def _talk(runner: asyncio.Runner, conversation: Conversation, prompt: str | None) -> None:
    if prompt is not None or not sys.stdin.isatty():
        text = sys.stdin.read() if prompt in {None, "-"} else prompt
        runner.run(_answer(conversation, text or ""))
        return
    click.echo(f"talking to {conversation.name}; {HELP}", err=True)
    while (text := _read()) is not None:
        if text == "/forget":
            conversation.forget()
        elif text:
            _turn(runner, conversation, text)


def _turn(runner: asyncio.Runner, conversation: Conversation, text: str) -> None:
    """One question of a session: what goes wrong, and ctrl-C, ends the answer only."""
    try:
        with one_line():
            runner.run(_answer(conversation, text))
    except click.exceptions.Exit:
        click.echo(" (stopped)", err=True)
    except CommandError as error:
        error.show()
    else:
        click.secho(conversation.speed, err=True, dim=True)


def _read() -> str | None:
    """Return what was typed; None at the end of the session."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - gives input() its history and editing
    try:
        text = input(PROMPT).strip()
    except (EOFError, KeyboardInterrupt):
        click.echo(err=True)
        return None
    return None if text in {"/bye", "/exit", "/quit"} else text


async def _answer(conversation: Conversation, text: str) -> None:
    async for piece in conversation.say(text):
        _print(piece)
    click.echo()


def _print(piece: Piece) -> None:
    """Print a piece; a model's control characters never reach the terminal, its thinking only a terminal."""
    text = "".join(each for each in piece.text if unicodedata.category(each) != "Cc" or each in "\n\t")
    if not piece.thinking:
        click.echo(text, nl=False)
    elif sys.stdout.isatty():
        click.secho(text, nl=False, dim=True)
