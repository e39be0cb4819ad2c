"""A server on loopback, with and without TLS, whose files are wrong each in a way of its own."""

from __future__ import annotations

import struct
from pathlib import Path

from aiohttp import web
from tests.component.local.file_servers import ThreadedServer

from llmkube.local.apiserver.tls import certificates

U32, STRING, ARRAY = 4, 8, 9
HUGE = 1 << 43
"""Bytes of a sparse file: more than the disk of any machine that runs these tests."""


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def string(key: bytes, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", STRING) + text(value)


def number(key: bytes, value: int) -> bytes:
    return text(key) + struct.pack("<II", U32, value)


def nested(key: bytes, depth: int) -> bytes:
    """An array of arrays of arrays."""
    inner = struct.pack("<IQ", U32, 0)
    for _ in range(depth):
        inner = struct.pack("<IQ", ARRAY, 1) + inner
    return text(key) + struct.pack("<I", ARRAY) + inner


def tensor(shape: tuple[int, ...]) -> bytes:
    return text(b"t") + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, 0)


def header(*pairs: bytes, tensors: tuple[bytes, ...] = (), version: int = 3, keys: int | None = None) -> bytes:
    counts = struct.pack("<QQ", len(tensors), len(pairs) if keys is None else keys)
    return b"GGUF" + struct.pack("<I", version) + counts + b"".join(pairs) + b"".join(tensors)


LLAMA = string(b"general.architecture", b"llama")
WHOLE = header(LLAMA, tensors=(tensor((32,)),))
FILES: dict[str, bytes] = {
    "whole.gguf": WHOLE + b"\0" * 4096,
    "truncated.gguf": header(LLAMA, tensors=(tensor((1 << 20,)),)) + b"\0" * 4096,
    "empty.gguf": b"",
    "magic.gguf": b"\x89PNG\r\n\x1a\n" + b"\0" * 4096,
    "page.gguf": b"<!DOCTYPE html><html><body>Sign in</body></html>",
    "version.gguf": header(version=1) + b"\0" * 4096,
    "endian.gguf": b"GGUF" + struct.pack(">IQQ", 3, 1, 1) + b"\0" * 4096,
    "counts.gguf": header(keys=1 << 60) + b"\0" * 4096,
    "nested.gguf": header(LLAMA, nested(b"x", 10_000)) + b"\0" * 4096,
    "twice.gguf": header(LLAMA, LLAMA) + b"\0" * 4096,
    "lonely-00001-of-00003.gguf": header(LLAMA, number(b"split.count", 3)) + b"\0" * 4096,
    "many.gguf": header(LLAMA, number(b"split.count", 3)) + b"\0" * 4096,
    "unknown.gguf": header(string(b"general.architecture", b"hal9000")) + b"\0" * 4096,
    "projector.gguf": header(string(b"general.architecture", b"clip"), tensors=(tensor((32,)),)) + b"\0" * 4096,
}
REDIRECTS = {"metadata.gguf": "http://169.254.169.254/latest/meta-data", "private.gguf": "http://10.0.0.1/model.gguf"}


class BadSources(ThreadedServer):
    """Every file at both ports."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.ports: dict[str, int] = {}
        self.trust = certificates(folder)
        self._folder = folder
        for name, content in FILES.items():
            (folder / name).write_bytes(content)
        with (folder / "huge.gguf").open("wb") as file:
            file.write(header(LLAMA, tensors=(tensor((HUGE // 4,)),)))
            file.truncate(HUGE + 4096)

    def url(self, name: str, *, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.ports[scheme]}/{name}"

    async def _get(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name in REDIRECTS:
            return web.Response(status=302, headers={"Location": REDIRECTS[name]})
        if (status := name.partition(".")[0]).isdecimal():
            return web.Response(status=int(status))
        file = self._folder / name
        return web.FileResponse(file) if file.exists() else web.Response(status=404)

    async def _listen(self, runner: web.AppRunner) -> None:
        for scheme, one in (("http", None), ("https", self.trust.context)):
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=one).start()
            self.ports[scheme] = runner.addresses[-1][1]
