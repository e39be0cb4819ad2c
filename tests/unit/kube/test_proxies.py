"""Which proxy is on the way to an API server: what client-go takes from the environment, and what it leaves."""

from __future__ import annotations

import pytest

from llmkube.kube.config import ConfigError
from llmkube.kube.proxies import of_environment, proxy_hosts, proxy_of

PROXY = "http://proxy:3128"
SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("server", "environ", "proxy"),
    [
        ("https://api.example", {}, ""),
        ("https://api.example", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://api.example", {"https_proxy": "https://proxy"}, "https://proxy"),
        ("https://api.example", {"HTTPS_PROXY": "proxy:3128"}, PROXY),
        ("https://api.example", {"HTTPS_PROXY": PROXY, "https_proxy": "http://other"}, PROXY),
        ("https://api.example", {"HTTP_PROXY": PROXY}, ""),
        ("http://api.example", {"HTTP_PROXY": PROXY}, PROXY),
        ("http://api.example", {"HTTPS_PROXY": PROXY}, ""),
        ("https://localhost:6443", {"HTTPS_PROXY": PROXY}, ""),
        ("https://127.0.0.2:6443", {"HTTPS_PROXY": PROXY}, ""),
        ("https://[::1]:6443", {"HTTPS_PROXY": PROXY}, ""),
    ],
)
def test_the_proxy_of_the_environment_is_the_one_for_the_servers_scheme(
    server: str, environ: dict[str, str], proxy: str
) -> None:
    assert of_environment(server, environ) == proxy


@pytest.mark.parametrize(
    ("host", "unproxied", "direct"),
    [
        ("api.example.com", "*", True),
        ("api.example.com", "example.com", True),
        ("api.example.com", " other , API.Example.com ", True),
        ("api.example.com", ".example.com", True),
        ("api.example.com", "*.example.com", True),
        ("example.com", "example.com", True),
        ("example.com", ".example.com", False),
        ("badexample.com", "example.com", False),
        ("api.example.com", "example.com:443", True),
        ("api.example.com", "example.com:6443", False),
        ("api.example.com:6443", "example.com:6443", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.4/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:6443", "10.1.2.3:443", False),
        ("10.1.2.3", "11.0.0.0/8,not/a/network,", False),
        ("10.1.2.3", "fd00::/8", False),
        ("[fd00::1]", "fd00::/8", True),
        ("[fd00::1]", "fd00::1", True),
        ("[fd00::1]:6443", "[fd00::1]:6443", True),
        ("api.example.com", "10.0.0.0/8", False),
        ("api.example.com", "", False),
        ("api.example.com", ",", False),
    ],
)
def test_who_is_named_in_no_proxy_is_asked_directly(host: str, unproxied: str, direct: bool) -> None:
    environ = {"HTTPS_PROXY": PROXY, "NO_PROXY": unproxied}
    assert proxy_of(f"https://{host}", environ) == ("" if direct else PROXY)
    assert proxy_of(f"https://{host}/m.gguf", {"https_proxy": PROXY, "no_proxy": unproxied}) == (
        "" if direct else PROXY
    )


def test_models_come_through_the_proxy_of_the_environment_from_loopback_too() -> None:
    environ = {"HTTP_PROXY": "http://plain:3128", "https_proxy": "tls:3129", "ALL_PROXY": "http://all"}
    assert proxy_of("http://127.0.0.1/m.gguf", environ) == "http://plain:3128"
    assert proxy_of("https://models.example/m.gguf", environ) == "http://tls:3129"
    assert proxy_of("s3://bucket/m.gguf", environ) == ""
    assert proxy_hosts(environ) == {"plain", "tls"}
    assert proxy_hosts({"HTTP_PROXY": "http://[fd00", "HTTPS_PROXY": "socks5://s"}) == set()
    assert proxy_hosts({}) == set()


@pytest.mark.parametrize("said", [f"socks5://me:{SECRET}@proxy", "http://", "http://proxy:port", "a b"])
def test_a_proxy_that_is_no_http_proxy_is_one_line_that_does_not_quote_it(said: str) -> None:
    with pytest.raises(ConfigError, match=r"^HTTPS_PROXY of the environment is none of http://") as found:
        of_environment("https://api.example", {"HTTPS_PROXY": said})
    assert SECRET not in str(found.value)
