"""`python -m llmkube` is the `llmkube` command, for processes that know their interpreter and not their PATH."""

from llmkube.cli.main import main

main(prog_name="llmkube")
