"""The Models of a service's adapters on a control plane: made, waited for, taken away, and else left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.local.lora import write_adapter
from tests.component.operator.conftest import is_ready

if TYPE_CHECKING:
    from tests.component.local.file_servers import ModelServer
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until

pytestmark = pytest.mark.usefixtures("steady")
ADAPTER = "inference.llmkube.dev/adapter"


@pytest.fixture
def adapters(models: ModelServer) -> list[Object]:
    """Two adapters, as a service names them."""
    for seed, name in enumerate(("pirate", "haiku")):
        write_adapter(models.folder / f"{name}.gguf", seed=seed)
    return [{"name": name, "source": models.url(f"{name}.gguf")} for name in ("pirate", "haiku")]


def made(api: Api, here: str) -> dict[str, Object]:
    """Return the Models of adapters, by the adapter's name."""
    found = (each for each in api.items("models", here) if ADAPTER in each["metadata"].get("labels", {}))
    return {each["metadata"]["labels"][ADAPTER]: each for each in found}


def test_a_service_has_a_model_for_each_adapter_and_loses_it_with_the_adapter(
    api: Api, here: str, serving: Callable[..., Any], adapters: list[Object], until: Until
) -> None:
    serving(loraAdapters=adapters)
    models = made(api, here)
    assert {name: each["status"]["phase"] for name, each in models.items()} == {"pirate": "Ready", "haiku": "Ready"}
    assert {each["status"]["claim"] for each in models.values()} == {"chat-cache"}
    assert {each["status"]["gguf"]["adapterType"] for each in models.values()} == {"lora"}
    api.patch("inferenceservices", here, "chat", {"spec": {"loraAdapters": adapters[1:]}})
    until(lambda: list(made(api, here)), lambda left: left == ["haiku"])
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)


def test_other_bytes_of_an_adapter_replace_the_pods(
    api: Api, here: str, serving: Callable[..., Any], adapters: list[Object], until: Until
) -> None:
    serving(loraAdapters=adapters[:1])
    digest = "cd" * 32
    api.patch("inferenceservices", here, "chat", {"spec": {"loraAdapters": [{**adapters[0], "sha256": digest}]}})
    until(lambda: further(api, here), lambda found: found == f"models={digest}")
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)
    assert made(api, here)["pirate"]["status"]["sha256"] == digest


def further(api: Api, here: str) -> str:
    template = api.get("deployments", here, "chat")["spec"]["template"]
    digests: str = template["metadata"]["annotations"]["inference.llmkube.dev/further-sha256"]
    return digests


def test_the_model_of_an_adapter_that_somebody_deletes_is_made_again(
    api: Api, here: str, serving: Callable[..., Any], adapters: list[Object], until: Until
) -> None:
    serving(loraAdapters=adapters[:1])
    (before,) = made(api, here).values()
    api.delete("models", here, before["metadata"]["name"])
    uid = before["metadata"]["uid"]
    until(lambda: made(api, here)["pirate"]["metadata"]["uid"], lambda found: found != uid)
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)


def test_the_models_of_adapters_go_with_the_service(
    api: Api, here: str, serving: Callable[..., Any], adapters: list[Object], until: Until
) -> None:
    serving(loraAdapters=adapters)
    api.delete("inferenceservices", here, "chat")
    until(lambda: made(api, here), lambda left: left == {}, seconds=120)
