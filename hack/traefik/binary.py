"""Traefik, a real ingress controller for tests: it serves Ingresses and the Gateway API's HTTPRoutes.

    binary() -> Path

Its sources are the released ones, of the version that go.mod pins, but for the clients of DNS hosts (dns/), which the
Go module proxy lacks in part: lego, the library that has them, is copied without them. go.sum has the digests of all.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from hack import gobuild

HERE = Path(__file__).resolve().parent
SOURCES = ("go.mod", "go.sum", "ext/go.mod", "ext/ext.go", "dns/dns.go")
PACKAGE = "github.com/traefik/traefik/v3/cmd/traefik"
LEGO = "github.com/go-acme/lego/v5"


def binary() -> Path:
    """Return the program, built if it is not in the cache; BuildError where it cannot be."""
    path = gobuild.cached("traefik", *((HERE / each).read_bytes() for each in SOURCES)) / "traefik"
    return gobuild.built(path, _compile)


def _compile(draft: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="module-", dir=draft.parent) as folder:
        module = Path(folder)
        for each in SOURCES:
            (module / each).parent.mkdir(exist_ok=True)
            shutil.copyfile(HERE / each, module / each)
        _without_dns_hosts(module)
        gobuild.compiled(module, draft, flags="-s -w", package=PACKAGE)


def _without_dns_hosts(module: Path) -> None:
    """Put a copy of lego into the module, with our package dns in place of its own."""
    found = json.loads(gobuild.run_go("mod", "download", "-json", LEGO, folder=module))
    lego = module / "lego"
    shutil.copytree(found["Dir"], lego, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("providers"))
    (lego / "providers").mkdir()
    shutil.copytree(module / "dns", lego / "providers" / "dns")
    gobuild.run_go("mod", "edit", "-replace", f"{LEGO}=./lego", folder=module)


if __name__ == "__main__":
    print(binary())
