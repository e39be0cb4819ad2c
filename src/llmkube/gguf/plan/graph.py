"""How much memory a computation graph takes at its peak: the rules of ggml's allocator (ggml/src/ggml-alloc.c).

Values are put into the smallest free gap that holds them, live until their last use, and are overwritten in place by an
operation that may do so and is the only one to use them. Sizes alone are known here: no value is ever computed. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

ALIGNMENT = 128


@dataclass(slots=True, eq=False)
class Value:
    """A tensor: `of` is whose memory it shows when it is a view; `users` and `views` count those yet to come."""

    size: int
    of: Value | None = None
    users: int = 0
    views: int = 0
    offset: int = 0
    is_held: bool = False
    is_output: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    result: Value
    sources: tuple[Value, ...]
    in_place: bool


@dataclass(slots=True)
class Graph:
    """Operations in the order in which they are made. Inputs are there from the beginning."""

    inputs: list[Value] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def input(self, size: int) -> Value:
        """Bytes that are filled in from outside."""
        value = Value(size)
        self.inputs.append(value)
        return value

    def handed(self, size: int, copies: int) -> Value:
        """Bytes that come from elsewhere; with more copies than one, all of them are there for ever."""
        value = self.input(size)
        if copies > 1:
            self.keep(value)
            self.keep(self.input(size * (copies - 1)))
        return value

    def make(self, size: int, *sources: Value) -> Value:
        """Memory of its own for a result: a product, a copy, rows that are picked."""
        return self._step(Value(size), sources, in_place=False)

    def update(self, *sources: Value) -> Value:
        """A result as large as its first source, which it overwrites when nobody else needs it."""
        return self._step(Value(sources[0].size), sources, in_place=True)

    def view(self, source: Value, *also: Value) -> Value:
        """Another look at the same memory."""
        owner = source.of or source
        owner.views += 1
        return self._step(Value(source.size, owner), (source, *also), in_place=False)

    def use(self, *sources: Value) -> None:
        """The last use of values by something that keeps no result here: a write into a cache."""
        self._step(Value(0), sources, in_place=False)

    def keep(self, value: Value) -> Value:
        """A value that is read after the graph has run: never freed, never overwritten."""
        value.is_output = True
        return value

    def _step(self, result: Value, sources: tuple[Value, ...], *, in_place: bool) -> Value:
        for source in sources:
            source.users += 1
        self.steps.append(Step(result, sources, in_place))
        return result


def peak(graph: Graph) -> int:
    """Bytes at the most. It uses the graph up."""
    heap = Heap()
    for value in graph.inputs:
        _hold(heap, value)
    for step in graph.steps:
        if step.result.of is None and not (step.in_place and _overwrites(heap, step)):
            _hold(heap, step.result)
        for source in step.sources:
            source.users -= 1
            _release(heap, source)
    return heap.peak


def _hold(heap: Heap, value: Value) -> None:
    value.offset, value.is_held = heap.take(value.size), True


def _overwrites(heap: Heap, step: Step) -> bool:
    """Take the memory of a source of the same size that nobody else needs; never that of a view."""
    for source in step.sources:
        if not source.is_held or source.is_output or source.views or source.users != 1:
            continue
        if source.size == step.result.size:
            step.result.offset, step.result.is_held, source.is_held = source.offset, True, False
            return True
    return False


def _release(heap: Heap, value: Value) -> None:
    if value.users or value.views:
        return
    owner = value.of
    if owner is not None:
        owner.views -= 1
        if owner.views or owner.users:
            return
        value = owner
    if value.is_held and not value.is_output:
        value.is_held = False
        heap.give(value.offset, aligned(value.size))


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(slots=True)
class Heap:
    """Free gaps by offset; behind the last one everything is free."""

    offsets: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    end: int = 0
    peak: int = 0

    def take(self, size: int) -> int:
        """The smallest gap that is large enough, of equal ones the last, else the end; returns the offset."""
        size = aligned(size)
        best = min(
            (i for i, gap in enumerate(self.sizes) if gap >= size), key=lambda i: (self.sizes[i], -i), default=None
        )
        if best is None:
            offset, self.end = self.end, self.end + size
            self.peak = max(self.peak, self.end)
            return offset
        offset = self.offsets[best]
        self.offsets[best] += size
        self.sizes[best] -= size
        if not self.sizes[best]:
            del self.offsets[best], self.sizes[best]
        return offset

    def give(self, offset: int, size: int) -> None:
        """Free a range; it grows together with the gaps beside it."""
        if not size:
            return
        at = bisect_left(self.offsets, offset)
        if at < len(self.offsets) and offset + size == self.offsets[at]:
            size += self.sizes[at]
            del self.offsets[at], self.sizes[at]
        if at and self.offsets[at - 1] + self.sizes[at - 1] == offset:
            at -= 1
            offset, size = self.offsets[at], size + self.sizes[at]
            del self.offsets[at], self.sizes[at]
        if offset + size == self.end:
            self.end = offset
        else:
            self.offsets.insert(at, offset)
            self.sizes.insert(at, size)
