"""A thin client of the Kubernetes API: every answer as it came, nothing raised, nothing retried, every wait bounded."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

PATIENCE = 20.0
PATCH_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]
    warnings: tuple[str, ...]

    @property
    def meta(self) -> dict[str, Any]:
        return self.body["metadata"]

    @property
    def message(self) -> str:
        return self.body.get("message", "")

    @property
    def causes(self) -> list[tuple[str, str, str]]:
        """reason, field and message of every cause of a Status, in a fixed order."""
        found = (self.body.get("details") or {}).get("causes") or []
        return sorted((one.get("reason", ""), one.get("field", ""), one.get("message", "")) for one in found)

    @property
    def names(self) -> list[str]:
        return [one["metadata"]["name"] for one in self.body["items"]]


class Watch:
    """The events of one watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> dict[str, Any]:
        """The next event; TimeoutError when none comes, EOFError when the watch is over."""
        async with asyncio.timeout(PATIENCE):
            line = await self._response.content.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    async def rest(self) -> list[dict[str, Any]]:
        """What comes until the server ends the watch."""
        found = []
        while True:
            try:
                found.append(await self.next())
            except EOFError:
                return found

    async def told(self) -> tuple[str, str]:
        """Type and name of the next event."""
        event = await self.next()
        return event["type"], event["object"]["metadata"].get("name", "")


class Client:
    def __init__(self, url: str, *, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self._session.close()

    async def ask(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None, **params: Any
    ) -> Answer:
        """A body of bytes is sent as it is: what is said twice in it is said twice."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        sent = {"Content-Type": "application/json"} if data else {}
        async with (
            asyncio.timeout(PATIENCE),
            self._session.request(
                method, self._url + path, params=_texts(params), data=data, headers={**sent, **(headers or {})}
            ) as answer,
        ):
            content = await answer.read()
            warnings = tuple(_warning(one) for one in answer.headers.getall("Warning", ()))
            is_json = answer.content_type == "application/json"
            return Answer(answer.status, json.loads(content) if is_json else content, dict(answer.headers), warnings)

    async def get(self, path: str, **params: Any) -> Answer:
        return await self.ask("GET", path, **params)

    async def table(self, path: str, **params: Any) -> Answer:
        return await self.ask("GET", path, headers={"Accept": TABLE}, **params)

    async def post(self, path: str, body: Any, **params: Any) -> Answer:
        return await self.ask("POST", path, body=body, **params)

    async def put(self, path: str, body: Any, **params: Any) -> Answer:
        return await self.ask("PUT", path, body=body, **params)

    async def patch(self, path: str, body: Any, kind: str = "merge", **params: Any) -> Answer:
        return await self.ask("PATCH", path, body=body, headers={"Content-Type": PATCH_TYPES[kind]}, **params)

    async def apply(self, path: str, body: Any, manager: str = "alpha", **params: Any) -> Answer:
        return await self.patch(path, body, "apply", fieldManager=manager, **params)

    async def delete(self, path: str, body: Any = None, **params: Any) -> Answer:
        return await self.ask("DELETE", path, body=body, **params)

    @asynccontextmanager
    async def watch(self, path: str, **params: Any) -> AsyncIterator[Watch]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE)
        params = _texts({"watch": True, **params})
        async with self._session.get(self._url + path, params=params, timeout=timeout) as answer:
            assert answer.status == 200, await answer.text()
            yield Watch(answer)

    async def until(self, path: str, holds: Any, *, times: int = 200, **params: Any) -> Answer:
        """Asks again until the answer fits; the last answer is the assertion's message when it never does."""
        for _ in range(times):
            if holds(answer := await self.get(path, **params)):
                return answer
            await asyncio.sleep(0.1)
        raise AssertionError(f"{path} never came to what was expected: {answer}")


def _texts(params: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in params.items()}


def _warning(header: str) -> str:
    """The text of a Warning header: 299 - "text"."""
    found = re.fullmatch(r'299 \S+ "((?:[^"\\]|\\.)*)"', header)
    assert found, f"no Warning header of Kubernetes: {header}"
    return re.sub(r"\\(.)", r"\1", found[1])
