"""The allocator's rules, one by one: what lives, what is overwritten, and where a value is put."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from llmkube.gguf.plan.graph import ALIGNMENT, Graph, Heap, aligned, peak

KIB = 1024


def test_what_is_still_needed_lives_beside_what_is_made() -> None:
    graph = Graph()
    first = graph.input(4 * KIB)
    second = graph.make(2 * KIB, first)
    graph.make(KIB, first, second)

    assert peak(graph) == 7 * KIB


def test_what_nobody_needs_any_more_makes_room() -> None:
    graph = Graph()
    value = graph.input(4 * KIB)
    for _ in range(5):
        value = graph.make(4 * KIB, value)

    assert peak(graph) == 8 * KIB


def test_an_operation_that_may_overwrites_what_only_it_needs() -> None:
    graph = Graph()
    graph.update(graph.update(graph.input(4 * KIB)))

    assert peak(graph) == 4 * KIB


def test_nothing_overwrites_what_another_needs_or_a_view_shows_or_is_kept() -> None:
    shared, shown, kept = Graph(), Graph(), Graph()
    value = shared.input(4 * KIB)
    shared.make(KIB, shared.update(value), value)
    value = shown.input(4 * KIB)
    shown.make(KIB, shown.update(shown.view(value)))
    kept.update(kept.keep(kept.input(4 * KIB)))

    assert [peak(graph) for graph in (shared, shown, kept)] == [9 * KIB, 8 * KIB, 8 * KIB]


def test_a_view_holds_the_memory_it_shows_until_it_is_used() -> None:
    used, unused = Graph(), Graph()
    for graph in (used, unused):
        view = graph.view(graph.make(4 * KIB, graph.input(KIB)))
        if graph is used:
            graph.use(view)
        graph.make(4 * KIB, graph.input(KIB))

    assert (peak(used), peak(unused)) == (6 * KIB, 10 * KIB)


def test_the_smallest_gap_that_is_large_enough_is_taken() -> None:
    heap = Heap()
    places = [heap.take(size * KIB) for size in (4, 1, 2, 1)]
    heap.give(places[0], 4 * KIB)
    heap.give(places[2], 2 * KIB)

    assert heap.take(2 * KIB) == places[2]
    assert heap.take(KIB) == places[0]
    assert heap.take(4 * KIB) == 8 * KIB


def test_of_equal_gaps_the_last_is_taken() -> None:
    heap = Heap()
    places = [heap.take(KIB) for _ in range(4)]
    heap.give(places[0], KIB)
    heap.give(places[2], KIB)

    assert heap.take(KIB) == places[2]


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=40), data=st.data())
def test_what_is_given_back_becomes_one_gap_again(sizes: list[int], data: st.DataObject) -> None:
    heap = Heap()
    taken = [(heap.take(size), aligned(size)) for size in sizes]
    for offset, size in data.draw(st.permutations(taken)):
        heap.give(offset, size)

    assert (heap.offsets, heap.sizes, heap.end) == ([], [], 0)
    assert heap.peak == sum(size for _, size in taken)
    assert all(offset % ALIGNMENT == 0 for offset, _ in taken)
