"""`llmkube cache` on directories and on a cluster: what it says, what it removes, how it ends."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from llmkube.cli.cache_claims import arranged
from llmkube.cli.cache_options import seconds
from llmkube.cli.cache_prefetch import pin_name
from llmkube.models.cache import Blob, Cache
from llmkube.models.collect import ModelName

CONTENT = b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(1000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(CONTENT)
    return str(path)


@pytest.fixture
def linked(root: Path) -> Cache:
    cache = Cache(root)
    cache.prepare()
    cache.blob(SHA256).write_bytes(CONTENT)
    cache.link(ModelName("team", "tiny"), SHA256, {"tiny.gguf": Blob(SHA256, len(CONTENT))})
    return cache


def blobs(root: Path) -> list[str]:
    return [each.name.removeprefix("sha256-") for each in (root / "v1" / "blobs").iterdir()]


def test_list_shows_who_uses_what(invoke: Any, linked: Cache) -> None:
    result = invoke("cache", "list", "--cache", str(linked.root))
    assert result.exit_code == 0, result.stderr
    head, columns, row = result.stdout.splitlines()
    assert head == f"{linked.root}: 1.0 kB, of which 0 B unused"
    assert columns.split() == ["DIGEST", "SIZE", "STATE", "LAST", "USED", "USED", "BY"]
    assert row.split() == [SHA256[:12], "1.0", "kB", "used", "0s", "team/tiny/tiny.gguf"]


def test_list_is_a_document_for_programs(invoke: Any, linked: Cache) -> None:
    found = json.loads(invoke("cache", "list", "--cache", str(linked.root), "-o", "json").stdout)["caches"]
    assert found[0]["path"] == str(linked.root)
    assert found[0]["blobs"][0] | {"lastUsed": ""} == {
        "sha256": SHA256,
        "size": len(CONTENT),
        "state": "used",
        "models": ["team/tiny/tiny.gguf"],
        "pins": [],
        "lastUsed": "",
    }


def test_local_modes_caches_are_found_by_themselves(
    invoke: Any, linked: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMKUBE_HOME", str(tmp_path / "home"))
    place = tmp_path / "home" / "local" / "volumes" / "default" / "tiny-cache"
    place.parent.mkdir(parents=True)
    linked.root.rename(place)
    assert str(place) in invoke("cache", "list").stdout


def test_without_any_cache_it_says_what_to_give(invoke: Any) -> None:
    result = invoke("cache", "list")
    assert result.exit_code == 2
    assert "expected --cache DIR" in result.stderr


def test_a_directory_that_is_not_there_is_named(invoke: Any, root: Path) -> None:
    for command in ("list", "verify"):
        result = invoke("cache", command, "--cache", str(root))
        assert (result.exit_code, result.stderr) == (
            1,
            f"error: cache {root}: expected a directory, found nothing; check --cache\n",
        )
    assert not root.exists()


def test_a_cache_of_a_later_version_is_refused(invoke: Any, root: Path) -> None:
    (root / "v7").mkdir(parents=True)
    result = invoke("cache", "list", "--cache", str(root))
    assert result.exit_code == 1
    assert "expected layout v1, found v7" in result.stderr


def test_what_is_prefetched_is_pinned_and_stays_until_it_is_unpinned(invoke: Any, root: Path, source: str) -> None:
    where = ["--cache", str(root)]
    assert invoke("cache", "prefetch", source, *where).exit_code == 0
    row = invoke("cache", "list", *where).stdout.splitlines()[-1].split()
    assert (row[0], row[3], row[-1]) == (SHA256[:12], "pinned", pin_name(source))
    assert invoke("cache", "clear", "--all-unused", "--yes", *where).stdout == "nothing to remove\n"
    refused = invoke("cache", "clear", SHA256[:12], "--yes", *where)
    assert refused.exit_code == 1
    assert f"found pin {pin_name(source)}" in refused.stderr
    assert invoke("cache", "prefetch", source, "--unpin", *where).stdout == f"unpinned {pin_name(source)}\n"
    assert invoke("cache", "prefetch", source, "--unpin", *where).exit_code == 3
    assert "removed 1.0 kB" in invoke("cache", "clear", "--all-unused", "--yes", *where).stdout
    assert blobs(root) == []


def test_a_prefetched_source_that_is_not_there_is_one_line(invoke: Any, root: Path, tmp_path: Path) -> None:
    result = invoke("cache", "prefetch", str(tmp_path / "none.gguf"), "--cache", str(root), "--progress", "none")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "found nothing at" in result.stderr


def test_a_prefetch_with_another_digest_keeps_nothing(invoke: Any, root: Path, source: str) -> None:
    result = invoke("cache", "prefetch", source, "--cache", str(root), "--sha256", "0" * 64, "--progress", "none")
    assert result.exit_code == 1
    assert SHA256 in result.stderr
    assert blobs(root) == []


def test_the_query_of_a_source_is_not_kept_in_its_pin() -> None:
    assert pin_name("https://host/a/Model_Q4.gguf?signature=secret").startswith("model-q4-")
    assert pin_name("https://host/model.gguf") != pin_name("https://other/model.gguf")


def test_clear_asks_first_and_no_is_no(invoke: Any, linked: Cache) -> None:
    arguments = ["cache", "clear", SHA256[:12], "--force", "--cache", str(linked.root)]
    result = invoke(*arguments, stdin="n\n")
    assert result.exit_code == 1
    assert "Remove 1.0 kB? [y/N]" in result.stdout
    assert blobs(linked.root) == [SHA256]
    assert invoke(*arguments, stdin="y\n").exit_code == 0
    assert blobs(linked.root) == []
    assert not list((linked.root / "v1" / "models").rglob("*.gguf"))


def test_clear_refuses_what_a_model_has(invoke: Any, linked: Cache) -> None:
    result = invoke("cache", "clear", SHA256, "--yes", "--cache", str(linked.root))
    assert result.exit_code == 1
    assert result.stderr == (
        f"error: blob {SHA256[:12]}: expected one that nothing refers to, found team/tiny; remove those first, "
        "or use --force\n"
    )
    assert blobs(linked.root) == [SHA256]


def test_a_dry_run_removes_nothing(invoke: Any, linked: Cache) -> None:
    result = invoke("cache", "clear", "--model", "team/tiny", "--dry-run", "--cache", str(linked.root))
    assert "1.0 kB would be removed (dry run)" in result.stdout
    assert blobs(linked.root) == [SHA256]


def test_a_model_that_is_gone_is_cleared_by_its_name(invoke: Any, linked: Cache) -> None:
    result = invoke("cache", "clear", "--model", "team/tiny", "--yes", "--cache", str(linked.root))
    assert result.stdout.splitlines()[-1] == "removed 1.0 kB"
    assert blobs(linked.root) == []


def test_only_what_is_old_enough_goes(invoke: Any, linked: Cache) -> None:
    old = "f" * 64
    linked.blob(old).write_bytes(b"old")
    linked.blob("e" * 64).write_bytes(b"new")
    os.utime(linked.blob(old), (time.time() - 40 * 86400,) * 2)
    invoke("cache", "clear", "--all-unused", "--older-than", "30d", "--yes", "--cache", str(linked.root))
    assert sorted(blobs(linked.root)) == sorted([SHA256, "e" * 64])


@pytest.mark.parametrize(
    "arguments",
    [[], ["xyz"], ["--older-than", "soon", "--all-unused"], ["--model", "tiny"], ["--model", "../x/y"]],
    ids=["nothing", "no digest", "no age", "no namespace", "a path"],
)
def test_a_wish_that_says_nothing_is_a_usage_error(invoke: Any, linked: Cache, arguments: list[str]) -> None:
    result = invoke("cache", "clear", *arguments, "--cache", str(linked.root))
    assert result.exit_code == 2
    assert blobs(linked.root) == [SHA256]


def test_a_digest_that_is_nowhere_is_not_found(invoke: Any, linked: Cache) -> None:
    result = invoke("cache", "clear", "0" * 12, "--cache", str(linked.root))
    assert result.exit_code == 3
    assert str(linked.root) in result.stderr


def test_verify_names_what_is_corrupted_with_both_digests_and_repairs_it_when_asked(invoke: Any, linked: Cache) -> None:
    where = ["--cache", str(linked.root)]
    assert invoke("cache", "verify", *where).stdout == "1 of 1 blobs are sound, 1.0 kB\n"
    linked.blob(SHA256).write_bytes(CONTENT[:-1] + b"x")
    found = hashlib.sha256(CONTENT[:-1] + b"x").hexdigest()
    result = invoke("cache", "verify", *where)
    assert result.exit_code == 1
    assert f"expected sha256 {SHA256}, found {found}; used by team/tiny/tiny.gguf" in result.stdout
    assert blobs(linked.root) == [SHA256], "without --repair it stays"
    told = json.loads(invoke("cache", "verify", "--repair", "-o", "json", *where).stdout)["blobs"]
    assert [(each["sound"], each["removed"]) for each in told] == [(False, True)]
    assert blobs(linked.root) == []
    assert invoke("cache", "list", *where).stdout.splitlines()[-1].split()[2] == "missing"


@pytest.mark.parametrize(("text", "value"), [("90m", 5400), ("12h", 43200), ("30d", 2592000), ("2w", 1209600)])
def test_ages_are_written_short(text: str, value: float) -> None:
    assert seconds(text) == value


def _object(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"namespace": "team", "name": name}, **fields}


MODELS = [
    _object("Model", "own", status={"phase": "Ready", "sizeBytes": 7, "sha256": SHA256}),
    _object("Model", "one", spec={"cache": {"mode": "Shared"}}, status={"phase": "Downloading"}),
    _object("Model", "two", spec={"cache": {"mode": "Shared"}}),
    _object("Model", "brought", spec={"cache": {"mode": "Existing", "claimName": "mine"}}),
    _object("Model", "fleeting", spec={"cache": {"mode": "Ephemeral"}}),
]
CLAIMS = [
    _object("PersistentVolumeClaim", "own-cache", status={"phase": "Bound", "capacity": {"storage": "5Gi"}}),
    _object("PersistentVolumeClaim", "somebody-elses"),
]
SERVICES = [_object("InferenceService", "chat", spec={"modelRef": "one"})]


def test_a_clusters_claims_are_shown_with_their_models_and_who_uses_those() -> None:
    found = arranged(CLAIMS, MODELS, SERVICES)
    assert [(each.name, each.mode, each.phase, [m["metadata"]["name"] for m in each.models]) for each in found] == [
        ("", "Ephemeral", "", ["fleeting"]),
        ("llmkube-models", "Shared", "", ["one", "two"]),
        ("mine", "Existing", "", ["brought"]),
        ("own-cache", "PerModel", "Bound", ["own"]),
    ]
    assert [each.services for each in found] == [[], ["chat"], [], []]


def test_a_namespace_means_the_cluster(invoke: Any, cluster: Any) -> None:
    cluster.objects["/apis/inference.llmkube.dev/v1alpha1/namespaces/team/models/own"] = MODELS[0]
    cluster.objects["/api/v1/namespaces/team/persistentvolumeclaims/own-cache"] = CLAIMS[0]
    result = invoke("cache", "list", "-n", "team")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[1].split() == [
        *["team", "own-cache", "PerModel", "Bound", "5Gi", "own", "(Ready,", "7", "B)", "<none>"]
    ]
    assert {method for method, _, _ in cluster.requests} == {"GET"}


def test_a_directory_and_a_namespace_at_once_are_refused(invoke: Any, linked: Cache) -> None:
    assert invoke("cache", "list", "-n", "team", "--cache", str(linked.root)).exit_code == 2
