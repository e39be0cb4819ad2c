"""The rules of an InferenceService that span fields. See rules.py for how one rule serves all three nets."""

from __future__ import annotations

import re

from llmkube.api.rules import Rule

# Flags that would let a spec bypass verification, bind elsewhere, put secrets in argv or open tools to every client.
_LONG = (
    "model|model-url|hf-repo|hf-file|hf-token|docker-repo|alias|host|port|api-key|api-key-file|tools|agent|path"
    "|slot-save-path|media-path|log-file|models-dir|models-preset"
)
# llama-server takes --a_b for --a-b.
_OWNED = f"^(-(m|mu|a|dr|hf|hfr|hff)|--({_LONG.replace('-', '[-_]')}))(=|$)"

INFERENCE_RULES = (
    Rule(
        field="cacheTypeV",
        cel="!has(self.cacheTypeV) || self.cacheTypeV in ['f32', 'f16', 'bf16'] || self.flashAttention != 'off'",
        holds=lambda spec: spec.cache_type_v in {None, "f32", "f16", "bf16"} or spec.flash_attention != "off",
        expected="f32, f16 or bf16 while flashAttention is off",
        found="%s",
        found_cel=("self.cacheTypeV",),
        values=lambda spec: (spec.cache_type_v,),
        fix="a quantised V cache needs flash attention: set flashAttention to auto or on, or change cacheTypeV",
    ),
    Rule(
        field="ubatchSize",
        cel="!has(self.ubatchSize) || self.ubatchSize <= (has(self.batchSize) ? self.batchSize : 2048)",
        holds=lambda spec: spec.ubatch_size is None or spec.ubatch_size <= (spec.batch_size or 2048),
        expected="at most batchSize (2048 when not set)",
        found="%d",
        found_cel=("self.ubatchSize",),
        values=lambda spec: (spec.ubatch_size,),
        fix="lower ubatchSize or raise batchSize",
    ),
    Rule(
        field="extraArgs",
        cel=f"!has(self.extraArgs) || !self.extraArgs.exists(argument, argument.matches('{_OWNED}'))",
        holds=lambda spec: not any(re.match(_OWNED, argument) for argument in spec.extra_args),
        expected="no flag that the operator sets itself",
        found="one of --model, --alias, --host, --port, --api-key, --tools and their like",
        fix="remove it, or use the field of the spec (auth for API keys)",
    ),
    Rule(
        field="chatTemplateRef",
        cel="!has(self.chatTemplateRef) || self.jinja",
        holds=lambda spec: spec.chat_template_ref is None or spec.jinja,
        expected="no chatTemplateRef while jinja is false",
        found="%s",
        found_cel=("self.chatTemplateRef.name",),
        values=lambda spec: (spec.chat_template_ref.name,),
        fix="without jinja the engine takes its built-in templates only: remove jinja: false, or chatTemplateRef",
    ),
    Rule(
        field="speculative",
        cel="!has(self.speculative) || self.speculative.draftModelRef != self.modelRef",
        holds=lambda spec: spec.speculative is None or spec.speculative.draft_model_ref != spec.model_ref,
        expected="a draftModelRef that is not modelRef itself",
        found="%s",
        found_cel=("self.modelRef",),
        values=lambda spec: (spec.model_ref,),
        fix="name a smaller model of the same vocabulary",
    ),
    Rule(
        field="speculative",
        cel="!has(self.speculative) || self.mode == 'chat'",
        holds=lambda spec: spec.speculative is None or spec.mode == "chat",
        expected="no speculative unless mode is chat",
        found="%s",
        found_cel=("self.mode",),
        values=lambda spec: (spec.mode,),
        fix="nothing is generated that could be drafted: remove it, or change mode",
    ),
)
