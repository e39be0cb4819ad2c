"""What extraArgs may not say: what the operator decides itself, what nobody verified, and flags that there are not.

refused_extra_args(spec: InferenceServiceSpec, build: Build) -> tuple[str, ...]     lines for a condition
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmkube.desired.engine.build import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.desired.engine.build import Build

_FIELDS: Mapping[str, str] = {
    "-c --ctx-size": "contextSize",
    "-np --parallel": "parallel",
    "-fa --flash-attn": "flashAttention",
    "-ctk --cache-type-k": "cacheTypeK",
    "-ctv --cache-type-v": "cacheTypeV",
    "-b --batch-size": "batchSize",
    "-ub --ubatch-size": "ubatchSize",
    "-t --threads": "threads",
    "--jinja --no-jinja": "jinja",
    "--embedding --embeddings --rerank --reranking": "mode",
    "--reasoning-format": "reasoning.format",
    "--reasoning-budget": "reasoning.budget",
    "--chat-template --chat-template-file": "chatTemplateRef",
    "--lora --lora-scaled --lora-init-without-apply": "loraAdapters",
    "-md --model-draft --spec-draft-model": "speculative.draftModelRef",
    "--draft --draft-n --draft-max --spec-draft-n-max": "speculative.maxTokens",
    "--draft-min --draft-n-min --spec-draft-n-min": "speculative.minTokens",
    "--api-key --api-key-file": "auth",
    "-ngl --gpu-layers --n-gpu-layers": "hardware.gpu.layers of the Model",
    "-sm --split-mode -mg --main-gpu": "hardware.gpu.sharding of the Model",
    "-ts --tensor-split": "hardware.gpu.sharding.layerSplit of the Model",
    "-mm --mmproj": "mmprojSource of the Model",
}
_OWN = (
    "-m --model -a --alias --host --port -cram --cache-ram --metrics --slots --no-slots --path --api-prefix "
    "--ssl-key-file --ssl-cert-file --slot-save-path --media-path --log-file --log-prompts-dir --reuse-port "
    "--tools --tools-runtime -ag --agent --mcp-servers-config --mcp-servers-json --ui-mcp-proxy --webui-mcp-proxy "
    "--models-dir --models-preset --models-max --models-autoload --rpc"
)
_ENDS = "-h --help --usage --version -cl --cache-list --completion-bash --list-devices"
# What would have the engine fetch bytes that nobody verified, the presets (--gpt-oss-20b-default) among them.
_FETCHES = re.compile(
    r"-hf\w*|-mm?u|-dr|--hf-.*|--spec-draft-hf|--docker-repo|--.*-url|--(embd|fim|gpt-oss|vision|tts)-.*-(default|spec)"
)
_REASONS = (
    {flag: f"use {field} instead" for flags, field in _FIELDS.items() for flag in flags.split()}
    | dict.fromkeys(_OWN.split(), "the operator sets it itself; remove it")
    | dict.fromkeys(_ENDS.split(), "the engine would print something and end; remove it")
)
_NUMBER = re.compile(r"-\.?\d.*")


def refused_extra_args(spec: InferenceServiceSpec, build: Build) -> tuple[str, ...]:
    """Return a line for each extra argument that cannot be given, with its place."""
    return tuple(f"spec.extraArgs[{index}]: {line}" for index, line in _refusals(spec.extra_args, build))


def _refusals(words: tuple[str, ...], build: Build) -> Iterator[tuple[int, str]]:
    """A word that a flag takes is no flag itself, but for what must never come through: that is refused anywhere."""
    values = 0
    for index, word in enumerate(words):
        flag = spelled(word)
        if reason := _reason(flag):
            yield index, f"{flag} cannot be given: {reason}"
        is_value, values = values > 0, max(0, values - 1)
        if is_value or not word.startswith("-") or _NUMBER.fullmatch(word):
            continue
        if build.number is not None and not reason:
            yield from ((index, line) for line in _unknown(word, build))
        values = build.values(flag) if build.number is not None else 0


def _unknown(word: str, build: Build) -> Iterator[str]:
    """The engine takes a value as a word of its own only."""
    flag = spelled(word)
    if not build.has(flag):
        nearest = build.nearest(flag)
        fix = f"did you mean {nearest}?" if nearest else "remove it"
        yield f"expected a flag of llama-server b{build.number}, found {flag[:80]}; {fix}"
    elif "=" in word:
        yield f"expected {flag} and its value as two words, found {word[:80]}; llama-server does not split at ="


def _reason(flag: str) -> str:
    if _FETCHES.fullmatch(flag):
        return "it fetches bytes that nobody verifies; make a Model of them"
    return _REASONS.get(flag, "")
