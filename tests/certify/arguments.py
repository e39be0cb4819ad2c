"""hack/certify arguments [COUNT]: renders random specs and has a real llama-server parse the arguments of each."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from tests.random_specs import LAYOUTS, MODELS, SERVICES, SETTINGS, inputs, owner
from tests.real_engine import MISSING, program

from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.model import ModelSpec
from llmkube.desired.deployment import deployment
from llmkube.desired.inference_plan import decided
from llmkube.desired.pod_trouble import Trouble

COUNT = 5000
PATHS = ("spec.", "Model spec.", "the operator's --image", "cache_type_v:")


def outcome(spec: InferenceServiceSpec, model: ModelSpec, packed: str | None) -> Trouble | dict[str, Any]:
    """What the reconciler decides: why not, or the engine's container."""
    found = inputs(spec, model, packed)
    engine = decided(spec, found, SETTINGS)
    if isinstance(engine, Trouble):
        assert engine.message.startswith(PATHS), engine
        return engine
    wanted = deployment(owner("InferenceService", "chat"), spec, found, SETTINGS, engine)
    container: dict[str, Any] = wanted["spec"]["template"]["spec"]["containers"][0]
    return container


def parse(server: str, words: Sequence[str], env: Mapping[str, str], folder: Path) -> str:
    """What llama-server has against them; nothing when all is well.

    --version ends the parse where it stands: all before it was read, and nothing is loaded. Paths of a pod become
    those of a file that there is, because some are read at once.
    """
    file = folder / "file"
    file.write_text("secret\n")
    real = [str(file) if word.startswith("/") and ":" not in word else word for word in words]
    run = subprocess.run(
        [server, *real, "--version"], env=os.environ | env, capture_output=True, text=True, timeout=60, check=False
    )
    told = run.stdout + run.stderr
    return "" if run.returncode == 0 and "version" in told and "error" not in told else f"{told}\n{' '.join(real)}"


def main() -> None:
    server, count = program("llama-server"), int((sys.argv[1:] or [COUNT])[0])
    if not server:
        sys.exit(f"NO llama-server: {MISSING}")
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:

        @settings(
            max_examples=count,
            derandomize=False,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(SERVICES, MODELS, LAYOUTS)
        def certified(spec: InferenceServiceSpec, model: ModelSpec, packed: str | None) -> None:
            found = outcome(spec, model, packed)
            if isinstance(found, Trouble):
                seen[f"refused: {found.reason}"] += 1
                return
            env = {each["name"]: each["value"] for each in found.get("env", ()) if "value" in each}
            assert parse(server, found["args"], env, Path(folder)) == ""
            seen["parsed"] += 1

        certified()
    print(f"{sum(seen.values())} specs:", ", ".join(f"{number} {name}" for name, number in seen.most_common()))


if __name__ == "__main__":
    main()
