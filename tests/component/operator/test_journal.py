"""What a journal of writes says about who led."""

from __future__ import annotations

from tests.component.operator.journal import Journal, Write, usurped

BODY = b'{"spec": {"holderIdentity": "%s"}}'


def lease(who: str, *, holder: str = "somebody", status: int = 200, method: str = "PUT") -> Write:
    return Write(who, method, "/apis/coordination.k8s.io/v1/namespaces/a/leases/x", holder, status)


def work(who: str) -> Write:
    return Write(who, "PATCH", "/api/v1/namespaces/a/services/x", status=200)


def test_a_write_after_another_took_the_lease_is_found() -> None:
    early, late = work("a"), work("a")
    assert usurped([lease("a"), early, lease("b"), late, work("b")]) == [late]


def test_a_write_of_one_that_never_had_the_lease_is_found() -> None:
    assert usurped([early := work("a"), lease("a")]) == [early]


def test_a_write_after_the_lease_was_given_up_is_found() -> None:
    late = work("a")
    assert usurped([lease("a"), work("a"), lease("a", holder=""), late]) == [late]


def test_who_made_the_lease_has_it_once_it_works() -> None:
    made, late = lease("b", method="POST"), work("a")
    assert usurped([lease("a"), made, work("a"), lease("b"), work("b"), late]) == [late]


def test_a_lease_that_somebody_failed_to_take_is_still_the_others() -> None:
    assert usurped([lease("a"), lease("b", status=409), work("a")]) == []


def test_a_write_has_its_place_where_it_ended_and_a_lease_where_it_was_sent() -> None:
    journal = Journal()
    slow = journal.sent("a", "PATCH", work("a").path, b"{}")
    taken = journal.sent("b", "PUT", lease("b").path, BODY % b"b")
    assert journal.entries == [taken]
    assert slow is not None
    journal.ended(slow, 200)
    assert journal.entries == [taken, slow]
    assert journal.sent("a", "GET", work("a").path, b"") is None
