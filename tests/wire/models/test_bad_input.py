"""Every bad source is one clear error: through `llmkube inspect`, by its exit code and its line, and as the reason that
a condition has. Over HTTP and from a file alike, where both can be.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests import tiny
from tests.wire.models.web_servers import Authority, serving

from llmkube.cli.main import main
from llmkube.gguf.errors import GGUFError
from llmkube.gguf.resolve import resolve
from llmkube.models.credentials import Credentials
from llmkube.models.errors import SourceError
from llmkube.models.policy import SourcePolicy

ANYWHERE = SourcePolicy(("0.0.0.0/0", "::/0"), (Path("/"),))
FAILED, USAGE, NOT_FOUND = 1, 2, 3


def start(version: int = 3, tensors: int = 0, keys: int = 0, order: str = "<") -> bytes:
    return b"GGUF" + struct.pack(f"{order}IQQ", version, tensors, keys)


def pair(key: str, kind: int, value: bytes) -> bytes:
    return tiny.text(key) + struct.pack("<I", kind) + value


NESTED = b"".join(struct.pack("<IQ", 9, 1) for _ in range(200))
TWICE = pair("general.name", 8, tiny.text("a")) * 2
BAD_BYTES = {
    "truncated in its header": (tiny.model()[:300], "Truncated", "the file is incomplete"),
    "truncated in its tensors": (tiny.model()[:-64], "Truncated", "the file is incomplete"),
    "zero bytes": (b"", "Truncated", "empty"),
    "other bytes": (b"\x00\x01\x02\x03" * 100, "NotGGUF", "expected GGUF magic, found other bytes"),
    "a web page": (b"<!DOCTYPE html><html>" * 20, "NotGGUF", "an HTML page"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "NotGGUF", "a Git LFS pointer"),
    "safetensors": (struct.pack("<Q", 40) + b'{"__metadata__":{"format":"pt"}}', "NotGGUF", "other bytes"),
    "version 1": (start(version=1), "UnsupportedVersion", "expected version 2 or 3, found 1"),
    "version 4": (start(version=4), "UnsupportedVersion", "expected version 2 or 3, found 4"),
    "big-endian": (start(order=">"), "BigEndian", "found a big-endian one; convert it"),
    "absurd count of tensors": (start(tensors=2**60), "TooLarge", "tensors, found 1152921504606846976"),
    "absurd count of keys": (start(keys=2**63), "TooLarge", "metadata keys"),
    "absurd length of a key": (start(keys=1) + struct.pack("<Q", 2**62), "TooLarge", "bytes of a metadata key"),
    "absurd length of an array": (
        start(keys=1) + pair("a", 9, struct.pack("<IQ", 4, 2**61)),
        "TooLarge",
        "items of 'a'",
    ),
    "arrays of arrays of arrays": (start(keys=1) + pair("a", 9, NESTED), "TooLarge", "deep at most"),
    "a key twice": (start(keys=2) + TWICE, "Malformed", "expected the key once, found it twice"),
    "no architecture": (start(keys=1) + pair("general.name", 8, tiny.text("a")), "MissingMetadata", "architecture"),
}


class _Serves(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> tuple[int, bytes]:
        raise NotImplementedError

    def do_GET(self) -> None:
        status, data = self.answer()
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if status != 200 or not data or not first:
            self.reply(status, data)
        else:
            part = data[int(first) : int(last) + 1]
            end = int(first) + len(part) - 1
            self.reply(206, part, {"Content-Range": f"bytes {first}-{end}/{len(data)}"})

    def reply(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def handler(answer: Callable[[str], tuple[int, bytes]]) -> type[_Serves]:
    return type("Serves", (_Serves,), {"answer": lambda self: answer(self.path)})


def inspect(source: str | Path) -> Result:
    return CliRunner().invoke(main, ["inspect", str(source)], catch_exceptions=False)


def reason(source: str) -> str:
    """As a condition has it: what the operator's resolver is told."""
    with pytest.raises((SourceError, GGUFError)) as caught:
        asyncio.run(resolve(source, policy=ANYWHERE, credentials=Credentials()))
    return str(caught.value.reason)


def one_line(result: Result, code: int, *words: str) -> None:
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert len(result.stderr) < 800
    for each in words:
        assert each in result.stderr


@pytest.mark.parametrize("case", list(BAD_BYTES))
def test_bytes_that_are_no_complete_model_are_told_over_http_and_from_a_file(tmp_path: Path, case: str) -> None:
    data, expected, words = BAD_BYTES[case]
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    with serving(handler(lambda _: (200, data))) as url:
        for source in (f"{url}/m.gguf", f"file://{path}"):
            one_line(inspect(source), FAILED, words, "m.gguf")
            assert reason(source) == expected


@pytest.mark.parametrize(
    ("status", "expected", "code", "words"),
    [
        (400, "UnexpectedStatus", FAILED, "HTTP 400"),
        (401, "Unauthorized", FAILED, "give credentials"),
        (403, "Forbidden", FAILED, "check that the credentials may read it"),
        (404, "NotFound", NOT_FOUND, "check the address"),
        (416, "Truncated", FAILED, "found an empty file"),
        (429, "TooManyRequests", FAILED, "it is tried again later"),
        (500, "ServerError", FAILED, "it is tried again"),
        (503, "ServerError", FAILED, "it is tried again"),
    ],
)
def test_a_refusal_is_told_with_its_status_and_what_to_do(status: int, expected: str, code: int, words: str) -> None:
    with serving(handler(lambda _: (status, b""))) as url:
        one_line(inspect(f"{url}/m.gguf"), code, words, "m.gguf")
        assert reason(f"{url}/m.gguf") == expected


def test_a_range_that_is_refused_in_the_middle_is_told() -> None:
    header, _ = tiny.header(120_000)

    class Shrinks(_Serves):
        asked = 0

        def do_GET(self) -> None:
            type(self).asked += 1
            if type(self).asked % 2:
                self.reply(206, header[: 1 << 20], {"Content-Range": f"bytes 0-{(1 << 20) - 1}/{len(header)}"})
            else:
                self.reply(416, b"")

    with serving(Shrinks) as url:
        one_line(inspect(f"{url}/m.gguf"), FAILED, "HTTP 416")


def parts(case: str) -> dict[str, bytes]:
    files = {f"/{name}": data for name, data in tiny.parts(3).items()}
    if case == "a part is missing":
        del files["/big-00002-of-00003.gguf"]
    else:
        files["/big-00001-of-00003.gguf"] = tiny.model(split=(0, 5))
    return files


@pytest.mark.parametrize(
    ("case", "expected", "code", "words"),
    [
        ("a part is missing", "NotFound", NOT_FOUND, "big-00002-of-00003.gguf"),
        ("another number of parts", "Malformed", FAILED, "expected a name for 5 files"),
    ],
)
def test_parts_that_are_missing_or_too_few_are_told(
    tmp_path: Path, case: str, expected: str, code: int, words: str
) -> None:
    files = parts(case)
    for name, data in files.items():
        (tmp_path / name[1:]).write_bytes(data)
    with serving(handler(lambda path: (200, files[path]) if path in files else (404, b""))) as url:
        for source in (f"{url}/big-00001-of-00003.gguf", f"file://{tmp_path}/big-00001-of-00003.gguf"):
            one_line(inspect(source), code, words)
            assert reason(source) == expected


def test_a_certificate_that_nobody_vouches_for_is_told(tmp_path: Path) -> None:
    with serving(handler(lambda _: (200, tiny.model())), Authority(tmp_path).server()) as url:
        one_line(inspect(f"{url}/m.gguf"), FAILED, "is not trusted", "caBundleRef")
        assert reason(f"{url}/m.gguf") == "CertificateNotTrusted"


def test_a_host_that_is_not_there_or_closes_at_once_is_told() -> None:
    class Closes(_Serves):
        def do_GET(self) -> None:
            self.close_connection = True

    one_line(inspect("http://127.0.0.1:1/m.gguf"), FAILED, "127.0.0.1:1", "it is tried again")
    one_line(inspect("https://nobody.invalid/m.gguf"), FAILED, "nobody.invalid", "it is tried again")
    with serving(Closes) as url:
        one_line(inspect(f"{url}/m.gguf"), FAILED, "expected an answer")
        assert reason(f"{url}/m.gguf") == "HostUnreachable"


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """Paths that are no files that can be read."""
    (tmp_path / "folder.gguf").mkdir()
    (tmp_path / "loop.gguf").symlink_to("loop.gguf")
    (tmp_path / "nowhere.gguf").symlink_to("missing.gguf")
    (tmp_path / "good.gguf").write_bytes(tiny.model())
    return tmp_path


@pytest.mark.parametrize(
    ("name", "expected", "code", "words"),
    [
        ("folder.gguf", "NotAFile", FAILED, "found a directory"),
        ("loop.gguf", "NotFound", NOT_FOUND, "loop"),
        ("nowhere.gguf", "NotFound", NOT_FOUND, "No such file"),
        ("missing.gguf", "NotFound", NOT_FOUND, "No such file"),
        ("good.gguf/m.gguf", "NotFound", NOT_FOUND, "Not a directory"),
        ("a/../good.gguf", "InvalidSource", USAGE, "expected a path without . and .."),
        ("%2e%2e/good.gguf", "InvalidSource", USAGE, "expected a path without . and .."),
    ],
)
def test_a_path_that_is_no_readable_file_is_told(places: Path, name: str, expected: str, code: int, words: str) -> None:
    one_line(inspect(f"file://{places}/{name}"), code, words)
    assert reason(f"file://{places}/{name}") == expected


@pytest.mark.parametrize(
    "source",
    [
        "https://h/../m.gguf",
        "https://h/%2e%2e/m.gguf",
        "https://h/..%2fm.gguf",
        "s3://bucket/../m.gguf",
        "s3://b/m.gguf",
        "hf://org/repo/../../m.gguf",
        "oci://h/../m:v1",
        "oci://h/Repo:v1",
        "oci://h/repo:v1/../m.gguf",
        "oci://h/repo/m.gguf",
        "oci://h/repo@sha256:12",
        "ftp://h/m.gguf",
        "pvc://claim/../m.gguf",
    ],
)
def test_a_source_that_climbs_out_or_is_none_is_told(source: str) -> None:
    one_line(inspect(source), USAGE, "expected")
    assert reason(source) == "InvalidSource"


def test_a_redirect_into_a_private_network_is_refused_by_the_fetcher(tmp_path: Path) -> None:
    """`inspect` may go where its caller may; the fetcher, who serves strangers, may not."""

    class Redirects(_Serves):
        def do_GET(self) -> None:
            self.reply(302, b"", {"Location": "http://169.254.169.254/latest/meta-data/m.gguf"})

    with serving(Redirects) as url:
        arguments = ["fetch", f"{url}/m.gguf", "--cache", str(tmp_path), "--name", "m", "--allow", "127.0.0.1"]
        result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 65
    assert '"reason": "SourceDenied"' in result.output
    assert "169.254.169.254" in result.output
