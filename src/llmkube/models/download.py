"""One file into the cache: asked for, resumed, verified, and only then given its name."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.models.cache import Blob, Cache, draft_of, key_of
from llmkube.models.errors import SourceError
from llmkube.models.layout import storage_error
from llmkube.models.locks import attempt
from llmkube.models.partial import Identity, Partial, leave_nothing, note_of
from llmkube.models.retry import retried
from llmkube.models.transfer import Origin, Transfer

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmkube.models.cache import Holds
    from llmkube.models.remote import Remote, RemoteFile
    from llmkube.models.slots import Slots
    from llmkube.models.source import Source

WRONG = frozenset({"NotGGUF", "SizeMismatch", "Truncated"})


@dataclass(frozen=True)
class Download:
    """One file of a model, over HTTP. `expected` is its sha256 when somebody knows it; `moved` is told of its bytes."""

    remote: Remote
    cache: Cache
    source: Source
    file: RemoteFile
    expected: str
    slots: Slots
    moved: Callable[[int], None]

    @property
    def key(self) -> str:
        """The name of the partial file: the same for all sources of a digest."""
        return key_of(self.expected or self._known_key, self.file.size)

    @property
    def _known_key(self) -> str:
        return key_of(self.source.text, self.file.etag, self.file.size)

    @property
    def _is_resumable(self) -> bool:
        """Without a digest or an entity tag nobody can say that the rest belongs to what is here."""
        return bool(self.expected or self.file.etag)

    async def there(self) -> Blob | None:
        """The blob, when the bytes are in the cache already."""
        if self.expected:
            return await asyncio.to_thread(self.cache.find, self.expected, self.file.size)
        if self.file.etag:
            return await asyncio.to_thread(self.cache.known, self._known_key, self.file.size)
        return None

    def missing(self) -> int:
        """Bytes of disk that it will need yet; 0 when the source does not say. Blocking."""
        if self.expected and self.cache.find(self.expected, self.file.size):
            return 0
        try:
            found = self.cache.layout.partial(self.key).stat().st_blocks * 512
        except FileNotFoundError:
            found = 0
        return max((self.file.size or 0) - found, 0)

    async def run(self, holds: Holds) -> Blob:
        """The verified blob, held. SourceError; what can be resumed is kept, what is wrong is not."""
        while True:
            partial = await asyncio.to_thread(self._opened)
            was_resumed = partial.resumed > 0
            digest = await self._filled(partial)
            if not self.expected or digest == self.expected:
                return await self._committed(partial, digest, holds)
            await asyncio.to_thread(partial.discard)
            if not was_resumed:
                message = f"{self.source.text}: expected sha256 {self.expected}, found {digest}"
                raise SourceError("DigestMismatch", f"{message}; correct spec.sha256 or the source")
            # what an earlier run left may be what was wrong: once more, all of it

    async def forget(self) -> None:
        """Remove what has arrived: the source has another file by now."""
        async with self.cache.lock(self.key, lambda: None):
            await asyncio.to_thread(lambda: self._partial().discard())

    def _partial(self) -> Partial:
        own = Identity(
            source=self.source.text,
            filename=self.source.filename,
            size=self.file.size,
            etag=self.file.etag,
            by_digest=bool(self.expected),
        )
        return Partial(self.cache.layout.partial(self.key), own)

    def _opened(self) -> Partial:
        try:
            partial = self._partial()
            try:
                partial.resume() if self._is_resumable else partial.restart()
                self.cache.check_space(max((self.file.size or 0) - partial.allocated, 0))
                partial.reserve()
            except BaseException:
                partial.close()
                raise
        except OSError as error:
            raise storage_error(self.cache.root, error) from None
        return partial

    async def _filled(self, partial: Partial) -> str:
        """The digest of the complete bytes."""
        try:
            return await (self._transferred(partial) if self._is_resumable else self._anew(partial))
        except (asyncio.CancelledError, SourceError) as error:
            is_wrong = isinstance(error, SourceError) and error.reason in WRONG
            await asyncio.shield(asyncio.to_thread(self._ended, partial, is_wrong=is_wrong))
            raise

    async def _transferred(self, partial: Partial) -> str:
        origin = Origin(self.remote, self.source, self.file, self._is_resumable)
        digest = await Transfer(origin, partial, self.slots, root=self.cache.root, moved=self.moved).run()
        if not partial.written.length:
            raise SourceError("Truncated", f"{self.source.text}: expected a GGUF file, found an empty file")
        return digest

    async def _anew(self, partial: Partial) -> str:
        """From the beginning at each try: nothing tells whether two answers are of the same file."""
        found = ""

        async def attempt() -> None:
            nonlocal found
            await asyncio.to_thread(partial.restart)
            found = await self._transferred(partial)

        await retried(attempt, lambda: 0)
        return found

    def _ended(self, partial: Partial, *, is_wrong: bool) -> None:
        try:
            partial.discard() if is_wrong else partial.close()
        except OSError as error:
            raise storage_error(self.cache.root, error) from None

    async def _committed(self, partial: Partial, digest: str, holds: Holds) -> Blob:
        await holds.add(digest)
        key = self._known_key if self.file.etag else ""
        return await asyncio.to_thread(commit, self.cache, partial, digest, key)


def tidied(cache: Cache, blob: Blob, *keys: str) -> Blob:
    """The blob, and nothing left of what led to it: a kill may have come between its name and the end of its note."""
    for key in (key_of(blob.sha256, blob.size), *keys):
        place = cache.layout.partial(key)
        if any(each.exists() for each in (place, note_of(place), draft_of(note_of(place)))):
            with attempt(cache.layout.lock(key)) as is_free:
                if is_free:
                    leave_nothing(place)
    return blob


def commit(cache: Cache, partial: Partial, digest: str, known_key: str = "") -> Blob:
    """Give complete bytes their name. Whatever a kill leaves undone here, the next run does without fetching again."""
    try:
        partial.sync()
        if known_key:
            cache.remember(known_key, digest)
        blob = cache.commit(partial.path, digest)
        partial.finish()
    except OSError as error:
        raise storage_error(cache.root, error) from None
    return blob
