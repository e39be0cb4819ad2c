"""llama-server's flags, as far as the package xllamacpp can honour them: a table, and a parser that refuses the rest.

Spellings and meanings are those of llama.cpp's common/arg.cpp. Pure: values go to attributes of xllamacpp.CommonParams,
named by dotted paths, which __main__.py sets; enumerations are llama.cpp's numbers (llama.h, ggml.h).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Setting = tuple[str, Any]
MAX_DEVICES = 128
_CACHE_TYPES = {"f32": 0, "f16": 1, "bf16": 30, "q8_0": 8, "q4_0": 2, "q4_1": 3, "iq4_nl": 20, "q5_0": 6, "q5_1": 7}
_FLASH = {"auto": -1, "off": 0, "on": 1}
_SPLIT = {"none": 0, "layer": 1, "row": 2, "tensor": 3}
_POOLING = {"none": 0, "mean": 1, "cls": 2, "last": 3, "rank": 4}
_REASONING = {"none": 0, "auto": 1, "deepseek-legacy": 2, "deepseek": 3}
_LOAD = {"auto": -1, "none": 0, "mmap": 1, "mlock": 2, "mmap+mlock": 3, "dio": 4}
_ROPE = {"none": 0, "linear": 1, "yarn": 2}
_LAYERS = {"auto": -1, "all": -2}
_DRAFTING = {"none": 0, "draft-simple": 1, "draft-eagle3": 2, "draft-dflash": 4}


class FlagError(ValueError):
    """A flag that cannot be honoured; the message is one line that names it."""


class Flag(NamedTuple):
    """One flag: its spellings, whether it takes a value, and the settings it stands for."""

    names: tuple[str, ...]
    settings: Callable[[str], Sequence[Setting]]
    value: bool


def parse(arguments: Iterable[str]) -> list[Setting]:
    """Return the settings in the order given, so that later flags win; raise FlagError at the first that is refused."""
    rest = iter(arguments)
    return [setting for argument in rest for setting in _parse_one(argument, rest)]


def _parse_one(argument: str, rest: Iterator[str]) -> Sequence[Setting]:
    name = argument.replace("_", "-") if argument.startswith("--") else argument
    flag = FLAGS.get(name)
    if flag is None:
        raise FlagError(
            f"{argument.partition('=')[0]}: expected a flag of llama-server that the package xllamacpp can honour; "
            "remove it, or use a llama-server of your own (LLMKUBE_LLAMA_SERVER)"
        )
    text = next(rest, None) if flag.value else ""
    if text is None:
        raise FlagError(f"{argument}: expected a value, found none; give it one")
    try:
        return flag.settings(text)
    except (ValueError, OSError) as error:
        raise FlagError(f"{argument}: {error}") from error


def _integer(attribute: str) -> Callable[[str], Sequence[Setting]]:
    def settings(text: str) -> Sequence[Setting]:
        if not text.removeprefix("-").isdecimal() or abs(int(text)) > 2**31 - 1:
            raise ValueError(f"expected a whole number, found {text!r}; correct it")
        return [(attribute, int(text))]

    return settings


def _number(attribute: str) -> Callable[[str], Sequence[Setting]]:
    return lambda text: [(attribute, float(text))]


def _text(attribute: str) -> Callable[[str], Sequence[Setting]]:
    return lambda text: [(attribute, text)]


def _lookup(names: Mapping[str, int], text: str) -> int:
    if text not in names:
        raise ValueError(f"expected one of {', '.join(names)}, found {text!r}; correct it")
    return names[text]


def _choice(attribute: str, names: Mapping[str, int]) -> Callable[[str], Sequence[Setting]]:
    return lambda text: [(attribute, _lookup(names, text))]


def _always(*settings: Setting) -> Callable[[str], Sequence[Setting]]:
    return lambda _: settings


def _layers(text: str) -> Sequence[Setting]:
    return [("n_gpu_layers", _LAYERS[text])] if text in _LAYERS else _integer("n_gpu_layers")(text)


def _draft_layers(text: str) -> Sequence[Setting]:
    return [(f"speculative.draft.{attribute}", value) for attribute, value in _layers(text)]


def _tensor_split(text: str) -> Sequence[Setting]:
    shares = [float(share) for share in text.replace("/", ",").split(",")]
    if len(shares) > MAX_DEVICES:
        raise ValueError(f"expected at most {MAX_DEVICES} shares, found {len(shares)}; give one per GPU")
    return [("tensor_split", shares + [0.0] * (MAX_DEVICES - len(shares)))]


def _aliases(text: str) -> Sequence[Setting]:
    return [("model_alias", {alias.strip() for alias in text.split(",") if alias.strip()})]


def _keys(text: str) -> Sequence[Setting]:
    return [("api_keys", [key.strip() for key in text.split(",") if key.strip()])]


def _key_file(path: str) -> Sequence[Setting]:
    lines = [line for line in Path(path).read_text().splitlines() if not line.startswith("#")]
    keys = [line.strip() for line in lines if line.strip()]
    if not keys:
        raise ValueError(f"expected an API key a line in {path}, found none; nobody could use the server")
    return [("api_keys", keys)]


def _scaled(text: str) -> Sequence[Setting]:
    pairs = [each.rpartition(":") for each in text.split(",")]
    if not all(path for path, _, _ in pairs):
        raise ValueError(f"expected PATH:SCALE apart by commas, found {text!r}; correct it")
    return [("lora_adapters", [(path, float(scale)) for path, _, scale in pairs])]


def _drafting(text: str) -> Sequence[Setting]:
    if text not in _DRAFTING:
        raise ValueError(f"expected one of {', '.join(_DRAFTING)}, found {text!r}; use one of them")
    return [("speculative.types", [_DRAFTING[text]])]


def _template_file(path: str) -> Sequence[Setting]:
    return [("chat_template", Path(path).read_text())]


def _timeout(text: str) -> Sequence[Setting]:
    return [*_integer("timeout_read")(text), *_integer("timeout_write")(text)]


def _switch(names: str, attribute: str) -> list[Flag]:
    """Return the pair `--x` and `--no-x`; short spellings of the negation, irregular, stand in the table."""
    negated = " ".join(name.replace("--", "--no-") for name in names.split() if name.startswith("--"))
    return [_plain(names, (attribute, True)), _plain(negated, (attribute, False))]


def _valued(names: str, settings: Callable[[str], Sequence[Setting]]) -> Flag:
    return Flag(tuple(names.split()), settings, value=True)


def _plain(names: str, *settings: Setting) -> Flag:
    return Flag(tuple(names.split()), _always(*settings), value=False)


_TABLE = (
    _valued("-m --model", _text("model.path")),
    _valued("-mm --mmproj", _text("mmproj.path")),
    _valued("-a --alias", _aliases),
    _valued("--host", lambda text: [("hostnames", [text])]),
    _valued("--port", _integer("port")),
    _valued("--api-prefix", _text("api_prefix")),
    _valued("--api-key", _keys),
    _valued("--api-key-file", _key_file),
    _valued("-to --timeout", _timeout),
    _valued("--threads-http", _integer("n_threads_http")),
    _valued("-c --ctx-size", _integer("n_ctx")),
    _valued("-np --parallel", _integer("n_parallel")),
    _valued("-b --batch-size", _integer("n_batch")),
    _valued("-ub --ubatch-size", _integer("n_ubatch")),
    _valued("-n --predict --n-predict", _integer("n_predict")),
    _valued("--keep", _integer("n_keep")),
    _valued("-t --threads", _integer("cpuparams.n_threads")),
    _valued("-tb --threads-batch", _integer("cpuparams_batch.n_threads")),
    _valued("-ngl --gpu-layers --n-gpu-layers", _layers),
    _valued("-sm --split-mode", _choice("split_mode", _SPLIT)),
    _valued("-ts --tensor-split", _tensor_split),
    _valued("-mg --main-gpu", _integer("main_gpu")),
    _valued("-fa --flash-attn", _choice("flash_attn_type", _FLASH)),
    _valued("-ctk --cache-type-k", _choice("cache_type_k", _CACHE_TYPES)),
    _valued("-ctv --cache-type-v", _choice("cache_type_v", _CACHE_TYPES)),
    _valued("-cram --cache-ram", _integer("cache_ram_mib")),
    _valued("--cache-reuse", _integer("n_cache_reuse")),
    _valued("-ctxcp --ctx-checkpoints --swa-checkpoints", _integer("n_ctx_checkpoints")),
    _valued("-lm --load-mode", _choice("load_mode", _LOAD)),
    _valued("--rope-scaling", _choice("rope_scaling_type", _ROPE)),
    _valued("--rope-freq-base", _number("rope_freq_base")),
    _valued("--rope-freq-scale", _number("rope_freq_scale")),
    _valued("--yarn-orig-ctx", _integer("yarn_orig_ctx")),
    _valued("--chat-template", _text("chat_template")),
    _valued("--chat-template-file", _template_file),
    _valued("--reasoning-format", _choice("reasoning_format", _REASONING)),
    _valued("--lora-scaled", _scaled),
    _valued("--spec-type", _drafting),
    _valued("-md --model-draft --spec-draft-model", _text("speculative.draft.mparams.path")),
    _valued("-ngld --gpu-layers-draft --n-gpu-layers-draft --spec-draft-ngl", _draft_layers),
    _valued("--spec-draft-n-max", _integer("speculative.draft.n_max")),
    _valued("--spec-draft-n-min", _integer("speculative.draft.n_min")),
    _valued("--reasoning-budget", _integer("sampling.reasoning_budget_tokens")),
    _valued("--pooling", _choice("pooling_type", _POOLING)),
    _valued("-sps --slot-prompt-similarity", _number("slot_prompt_similarity")),
    _valued("--sleep-idle-seconds", _integer("sleep_idle_seconds")),
    _valued("-s --seed", _integer("sampling.seed")),
    _valued("--temp", _number("sampling.temp")),
    _valued("--top-k", _integer("sampling.top_k")),
    _valued("--top-p", _number("sampling.top_p")),
    _valued("--min-p", _number("sampling.min_p")),
    _valued("--repeat-penalty", _number("sampling.penalty_repeat")),
    _valued("-lv --verbosity --log-verbosity", _integer("verbosity")),
    _plain("-v --verbose --log-verbose", ("verbosity", 2**31 - 1)),
    _plain("--metrics", ("endpoint_metrics", True)),
    _plain("--props", ("endpoint_props", True)),
    _plain("--embedding --embeddings", ("embedding", True)),
    _plain("--rerank --reranking", ("embedding", True), ("pooling_type", _POOLING["rank"])),
    _plain("--swa-full", ("swa_full", True)),
    _plain("--check-tensors", ("check_tensors", True)),
    _plain("--offline", ("offline", True)),
    _plain("-nkvo --no-kv-offload", ("no_kv_offload", True)),
    _plain("-nocb", ("cont_batching", False)),
    _plain("-no-kvu", ("kv_unified", False)),
    *_switch("--slots", "endpoint_slots"),
    *_switch("--jinja", "use_jinja"),
    *_switch("-kvu --kv-unified", "kv_unified"),
    *_switch("-cb --cont-batching", "cont_batching"),
    *_switch("--cache-prompt", "cache_prompt"),
    *_switch("--context-shift", "ctx_shift"),
    *_switch("--warmup", "warmup"),
    *_switch("--ui --webui", "ui"),
)
FLAGS: Mapping[str, Flag] = {name: flag for flag in _TABLE for name in flag.names}
VARIABLES: Mapping[str, str] = {
    "LLAMA_ARG_CACHE_RAM": "--cache-ram",
    "LLAMA_ARG_CACHE_PROMPT": "--cache-prompt",
    "LLAMA_ARG_FLASH_ATTN": "--flash-attn",
    "LLAMA_ARG_LOG_VERBOSITY": "--log-verbosity",
    "LLAMA_ARG_JINJA": "--jinja",
    "LLAMA_ARG_THINK_BUDGET": "--reasoning-budget",
    "LLAMA_ARG_SPEC_TYPE": "--spec-type",
    "LLAMA_ARG_SPEC_DRAFT_N_MAX": "--spec-draft-n-max",
    "LLAMA_ARG_SPEC_DRAFT_N_MIN": "--spec-draft-n-min",
}
"""What the operator tells an engine by its environment, where its build is unknown or the person may say otherwise."""


def from_environment(environ: Mapping[str, str]) -> list[str]:
    """Return the flags that variables stand for; those of the command line come after them, and win."""
    found: list[str] = []
    for variable, flag in VARIABLES.items():
        value = environ.get(variable)
        if value is None:
            continue
        is_off = value.lower() in {"0", "false", "off", "disabled"}
        found += [flag, value] if FLAGS[flag].value else [flag.replace("--", "--no-", 1) if is_off else flag]
    return found
