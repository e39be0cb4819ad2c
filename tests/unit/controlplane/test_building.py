"""How hack/controlplane is built: which module and binary belong to which version, and what is said without Go."""

from __future__ import annotations

from pathlib import Path

import pytest
from hack.controlplane.binary import binary, cached, flags
from hack.controlplane.module import ControlPlaneError, checked, default_version, go_mod
from hack.gobuild import BuildError

THEIRS = {
    "Go": "1.26.0",
    "Replace": [
        {"Old": {"Path": "k8s.io/client-go"}, "New": {"Path": "./staging/src/k8s.io/client-go"}},
        {"Old": {"Path": "k8s.io/api"}, "New": {"Path": "./staging/src/k8s.io/api"}},
        {"Old": {"Path": "example.com/other"}, "New": {"Path": "example.com/fork", "Version": "v1.0.0"}},
    ],
}


@pytest.fixture
def no_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_the_modules_that_kubernetes_is_made_of_come_in_its_own_version() -> None:
    written = go_mod(THEIRS, "1.35.4").splitlines()
    assert "require k8s.io/kubernetes v1.35.4" in written
    assert [one.strip() for one in written if "=>" in one] == [
        "k8s.io/api => k8s.io/api v0.35.4",
        "k8s.io/client-go => k8s.io/client-go v0.35.4",
    ]


def test_the_go_of_a_module_is_the_one_that_kubernetes_asks_for() -> None:
    assert "go 1.26.0" in go_mod({**THEIRS, "Replace": None}, "1.36.1").splitlines()


def test_the_default_version_is_the_one_of_the_committed_module() -> None:
    assert checked(default_version()) == default_version()


def test_a_version_may_have_a_v_in_front() -> None:
    assert checked("v1.35.4") == checked("1.35.4") == "1.35.4"


@pytest.mark.parametrize("version", ["1.36", "latest", "2.0.0", "1.36.1-rc.0", "", "../1.36.1"])
def test_what_is_no_version_of_a_release_is_refused(version: str) -> None:
    with pytest.raises(ControlPlaneError, match="expected a version such as"):
        checked(version)


def test_the_binary_tells_its_version() -> None:
    told = flags("1.35.4").split()
    package = "k8s.io/component-base/version"
    assert f"{package}.gitVersion=v1.35.4" in told
    assert f"{package}.gitMinor=35" in told


def test_without_go_one_line_says_what_to_install(no_go: None) -> None:
    with pytest.raises(BuildError, match=r"^[^\n]*not found: install Go 1\.\d+ or newer[^\n]*$"):
        binary()


def test_a_binary_that_was_built_needs_no_go(no_go: None) -> None:
    built = cached("1.35.4")
    built.parent.mkdir(parents=True)
    built.write_bytes(b"")
    assert binary("v1.35.4") == built


def test_each_version_has_a_binary_of_its_own(no_go: None) -> None:
    assert len({cached(one) for one in (default_version(), "1.35.4", "1.37.2")}) == 3
