"""The YAML and JSON documents that a person applies: read whole and checked whole before anything is sent.

Every problem is one line that names the file, the document and the field; all of them are told at once.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from llmkube.cli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Manifest = dict[str, Any]
SUFFIXES = {".yaml", ".yml", ".json"}
MAX_BYTES = 16 * 1024 * 1024
MAX_NODES = 500_000
STDIN = "-"
_NOT_IN_KUBERNETES = {"tag:yaml.org,2002:timestamp"}


@dataclass(frozen=True)
class Document:
    """One object, and where it stands."""

    origin: str
    number: int
    content: Manifest

    @property
    def where(self) -> str:
        """`quickstart.yaml: document 2: InferenceService default/smollm2`, as far as it is known."""
        metadata = self.content.get("metadata")
        named = metadata if isinstance(metadata, dict) else {}
        name = "/".join(str(part) for part in (named.get("namespace"), named.get("name")) if part)
        what = " ".join(part for part in (str(self.content.get("kind") or ""), name) if part)
        return f"{self.origin}: document {self.number}" + (f": {what}" if what else "")


def read(names: Iterable[str], *, recursive: bool = False) -> tuple[Document, ...]:
    """Return the objects of files, directories and `-`; raise InputError when one cannot be read."""
    found: list[Document] = []
    for name in names:
        for origin, text in _texts(name, recursive=recursive):
            found += _documents(origin, text)
    if not found:
        raise InputError(f"{', '.join(names)}: expected at least one object, found none; name a file with documents")
    return tuple(found)


def check(documents: Sequence[Document]) -> None:
    """Raise InputError with every problem of Models and InferenceServices, and of objects without a name or kind."""
    problems = [line for document in documents for line in _problems(document)]
    problems += _duplicates(documents)
    if problems:
        raise InputError("\n".join(problems))


def is_ours(content: Manifest) -> bool:
    """Whether the object is of LLMKube's group, in any version, and so is checked by us."""
    return str(content.get("apiVersion", "")).startswith("inference.llmkube.dev/")


def _texts(name: str, *, recursive: bool) -> Iterator[tuple[str, str]]:
    if name == STDIN:
        yield "stdin", _limited("stdin", sys.stdin.read(MAX_BYTES + 1))
        return
    if "://" in name:
        raise InputError(
            f"{name}: expected a file, a directory or -, found a URL; download it first, then apply the file"
        )
    path = Path(name)
    if not path.is_dir():
        yield name, _content(path)
        return
    inside = sorted(path.rglob("*") if recursive else path.iterdir())
    for file in inside:
        if file.suffix in SUFFIXES and file.is_file():
            yield str(file), _content(file)


def _content(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return _limited(str(path), file.read(MAX_BYTES + 1))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8 text, found other bytes at offset {error.start}") from error


def _limited(origin: str, text: str) -> str:
    if len(text) > MAX_BYTES:
        raise InputError(f"{origin}: expected at most {MAX_BYTES} bytes of documents, found more; split it")
    return text


def objects(origin: str, text: str) -> Iterator[tuple[int, Manifest]]:
    """Yield the objects of YAML documents and their numbers, from 1; raise InputError when they are none."""
    try:
        parsed = list(yaml.load_all(text, Loader=_Loader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{origin}: cannot be read as YAML: {_where_yaml_broke(error)}") from error
    for number, content in enumerate(parsed, start=1):
        if content is None:
            continue
        if not isinstance(content, dict):
            raise InputError(f"{origin}: document {number}: expected an object, found {_shown(content)}")
        if _weight(content) > MAX_NODES:
            raise InputError(f"{origin}: document {number}: its aliases unfold to more than {MAX_NODES} values")
        yield number, content


def _documents(origin: str, text: str) -> Iterator[Document]:
    for number, content in objects(origin, text):
        yield from _unfolded(Document(origin, number, content))


def _unfolded(document: Document) -> Iterator[Document]:
    """Yield the items of a List, and any other object as it is."""
    items = document.content.get("items")
    if document.content.get("kind") != "List" or not isinstance(items, list):
        yield document
        return
    for item in items:
        if not isinstance(item, dict):
            raise InputError(f"{document.where}: expected objects in items, found {_shown(item)}")
        yield Document(document.origin, document.number, item)


def _weight(value: Any, budget: int = MAX_NODES) -> int:
    """Count the values that a document unfolds to, and stop counting beyond the budget."""
    seen, rest = 0, [value]
    while rest and seen <= budget:
        each = rest.pop()
        seen += 1
        rest += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
    return seen


def _problems(document: Document) -> Iterator[str]:
    from llmkube.api.strict import InvalidResource, parse

    if is_ours(document.content):
        try:
            parse(document.content)
        except InvalidResource as invalid:
            yield from (f"{document.where}: {problem}" for problem in invalid.problems)
            return
    for name in ("apiVersion", "kind"):
        if not isinstance(document.content.get(name), str):
            yield f"{document.where}: {name}: expected a text, found {_shown(document.content.get(name))}"
    metadata = document.content.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        yield f"{document.where}: metadata.name: expected a name, found none; apply needs one"


def _duplicates(documents: Sequence[Document]) -> Iterator[str]:
    seen: dict[tuple[object, ...], Document] = {}
    for document in documents:
        metadata = document.content.get("metadata")
        named = metadata if isinstance(metadata, dict) else {}
        key = (document.content.get("kind"), str(named.get("namespace") or ""), str(named.get("name")))
        first = seen.setdefault(key, document)
        if first is not document and named.get("name"):
            yield f"{document.where}: the same object stands in {first.origin}: document {first.number}; keep one"


def _where_yaml_broke(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    said = getattr(error, "problem", None) or (str(error).splitlines() or [type(error).__name__])[0]
    return f"{place}{said}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: dates stay texts, and a key that stands twice is an error."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and the kind are PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NOT_IN_KUBERNETES]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """Return a mapping whose keys are texts, each once."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "expected a text as a key", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return {str(key): value for key, value in super().construct_mapping(node, deep=deep).items()}
