"""Which proxy the environment names for an address."""

from __future__ import annotations

import pytest

from llmkube.models.proxies import proxy_hosts, proxy_of

PROXIES = {"HTTP_PROXY": "http://plain:3128", "https_proxy": "tls:3129"}


@pytest.mark.parametrize(
    ("url", "no_proxy", "expected"),
    [
        ("http://models.example/m.gguf", "", "http://plain:3128"),
        ("https://models.example/m.gguf", "", "http://tls:3129"),
        ("https://models.example/m.gguf", "*", None),
        ("https://models.example/m.gguf", "models.example", None),
        ("https://models.example/m.gguf", ".example", None),
        ("https://models.example:8443/m.gguf", "models.example:8443", None),
        ("https://models.example/m.gguf", "example.org, other.example", "http://tls:3129"),
        ("https://10.1.2.3/m.gguf", "127.0.0.1,10.0.0.0/8", None),
        ("https://11.1.2.3/m.gguf", "127.0.0.1,10.0.0.0/8", "http://tls:3129"),
        ("https://[fd00::1]/m.gguf", "fd00::/8", None),
    ],
)
def test_a_proxy_is_by_scheme_and_not_for_what_no_proxy_names(
    monkeypatch: pytest.MonkeyPatch, url: str, no_proxy: str, expected: str | None
) -> None:
    for name in ("HTTPS_PROXY", "http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**PROXIES, "NO_PROXY": no_proxy}.items():
        monkeypatch.setenv(name, value)

    assert proxy_of(url) == expected
    assert proxy_hosts() == {"plain", "tls"}


def test_without_proxies_none_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)

    assert proxy_of("https://models.example/m.gguf") is None
    assert proxy_hosts() == set()
