"""What a PodMonitor names to come by /metrics, and what is said where that opens nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from llmkube.desired.pod_monitor import unscrapable
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.referenced import MOST_MARKS, Reference, found
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.objects import Data, ObjectMeta

Factory = Callable[..., Any]
MONITORED = OperatorSettings(scrape="podmonitor")
MANY = "".join(f"key-{each}\n" for each in range(MOST_MARKS + 1))


@pytest.fixture
def told(isvc_spec: Factory) -> Callable[..., Trouble | None]:
    """What is said of a Secret with these entries, by default of a PodMonitor that names its entry `scraper`."""

    def tell(
        entries: dict[str, str], *, key: str | None = "scraper", settings: OperatorSettings = MONITORED
    ) -> Trouble | None:
        encoded = {name: base64.b64encode(content.encode()).decode() for name, content in entries.items()}
        secret = found(Data(metadata=ObjectMeta(uid="1"), data=encoded), "Secret")
        spec = isvc_spec(auth={"secretRef": {"name": "keys"}} | ({"metricsKey": key} if key else {}))
        return unscrapable(spec, settings, {Reference("Secret", "keys"): secret})

    return tell


@pytest.mark.parametrize(
    ("entries", "key"),
    [
        ({"api-keys": "only"}, None),
        ({"api-keys": "first\nsecond\n", "scraper": "second"}, "scraper"),
        ({"api-keys": "# ours\r\nfirst\r\n", "scraper": "first "}, "scraper"),
        ({"api-keys": MANY, "scraper": f"key-{MOST_MARKS}"}, "scraper"),
    ],
)
def test_one_of_the_api_keys_alone_is_nothing_to_tell(
    told: Callable[..., Trouble | None], entries: dict[str, str], key: str | None
) -> None:
    assert told(entries, key=key) is None


@pytest.mark.parametrize(
    ("entries", "key", "reason", "words"),
    [
        (
            {"api-keys": "first", "other": "first"},
            "scraper",
            "SecretKeyNotFound",
            "spec.auth.metricsKey: expected a key scraper in Secret keys, found api-keys, other; add it",
        ),
        (
            {"api-keys": "first", "scraper": ""},
            "scraper",
            "SecretEmpty",
            "spec.auth.metricsKey: expected a key scraper",
        ),
        (
            {"api-keys": "first\nsecond"},
            None,
            "MetricsKeyUnusable",
            "spec.auth.secretRef.key: expected one of the API keys alone in key api-keys of Secret keys, for the",
        ),
        ({"api-keys": "first\nsecond"}, None, "MetricsKeyUnusable", "found 2 keys; put one into an entry of its own"),
        ({"api-keys": "first", "scraper": "# none\n"}, "scraper", "MetricsKeyUnusable", "found no keys; put one"),
        ({"api-keys": "only\n"}, None, "MetricsKeyUnusable", "found one in a text of 1 line end, which no header"),
        ({"api-keys": "# ours\r\nonly\r\n"}, None, "MetricsKeyUnusable", "found one in a text of 2 line ends, which"),
        (
            {"api-keys": "first\nsecond", "scraper": "third"},
            "scraper",
            "MetricsKeyUnknown",
            "found one that is not among those in key api-keys, which /metrics refuses; add it there",
        ),
    ],
)
def test_an_entry_that_opens_no_metrics_is_said_with_what_was_expected_and_found(
    told: Callable[..., Trouble | None], entries: dict[str, str], key: str | None, reason: str, words: str
) -> None:
    trouble = told(entries, key=key)
    assert trouble is not None
    assert trouble.reason == reason
    assert words in trouble.message
    assert not {"first", "second", "third"} & set(trouble.message.split()), "never what a key is"


@pytest.mark.parametrize("scrape", ["annotations", "none"])
def test_where_no_pod_monitor_is_made_nothing_is_said(told: Callable[..., Trouble | None], scrape: Any) -> None:
    assert told({"api-keys": "first\nsecond"}, settings=OperatorSettings(scrape=scrape)) is None
