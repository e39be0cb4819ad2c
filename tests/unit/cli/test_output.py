"""The forms of output: plain columns, ages, sizes, and documents without bookkeeping."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from llmkube.cli import output
from llmkube.cli.output import Column, field

ITEM = {
    "apiVersion": "inference.llmkube.dev/v1alpha1",
    "kind": "Model",
    "metadata": {"name": "m", "managedFields": [{"manager": "x"}]},
    "status": {"phase": "Ready"},
}
COLUMNS = (
    Column("NAME", field("metadata.name")),
    Column("PHASE", field("status.phase")),
    Column("X", field("x"), wide=True),
)


def test_a_table_is_plain_columns_that_are_never_cut() -> None:
    long = {"metadata": {"name": "a" * 300}, "status": {}}
    lines = output.table(COLUMNS, [ITEM, long]).splitlines()
    assert lines[0].split() == ["NAME", "PHASE"]
    assert lines[2].split() == ["a" * 300, "<none>"]
    assert lines[0].index("PHASE") == lines[1].index("Ready") == lines[2].index("<none>")


def test_wide_columns_show_only_when_asked_for() -> None:
    assert output.table(COLUMNS, [ITEM], wide=True).splitlines()[0].split() == ["NAME", "PHASE", "X"]


def test_one_object_is_printed_as_itself_and_several_as_a_list() -> None:
    assert json.loads(output.documents([ITEM], "json"))["kind"] == "Model"
    assert json.loads(output.documents([ITEM, ITEM], "json"))["kind"] == "List"


@pytest.mark.parametrize("items", [[], [ITEM], [ITEM, ITEM]])
def test_a_listing_is_a_list_however_many_there_are(items: list[dict[str, object]]) -> None:
    assert len(json.loads(output.listing(items, "json"))["items"]) == len(items)


def test_managed_fields_are_left_out() -> None:
    assert "managedFields" not in output.documents([ITEM], "yaml")


def test_names_carry_their_group() -> None:
    assert output.documents([ITEM], "name") == "model.inference.llmkube.dev/m\n"


def test_no_items_print_no_names() -> None:
    assert output.documents([], "name") == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119, "119s"), (125, "2m5s"), (600, "10m"), (9000, "2h30m"), (129_600, "1d12h"), (40_000_000, "1y")],
)
def test_durations_read_as_kubectl_writes_them(seconds: int, text: str) -> None:
    assert output.duration(seconds).startswith(text)


def test_an_age_is_counted_from_the_timestamp() -> None:
    assert output.age("2026-01-01T00:00:00Z", now=datetime(2026, 1, 1, 0, 0, 45, tzinfo=UTC)) == "45s"
    assert output.age(None) == "<unknown>"


@pytest.mark.parametrize(("count", "text"), [(12, "12 B"), (98_400_000, "98.4 MB"), (7.5e12, "7.5 TB")])
def test_sizes_are_for_people(count: float, text: str) -> None:
    assert output.size(count) == text


def test_control_characters_never_reach_a_cell() -> None:
    assert output.printable("a\x1b[31mb\n") == "a [31mb "
