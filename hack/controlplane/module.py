"""The Go module that the control plane is built from: its main.go, and a go.mod for one version of Kubernetes.

k8s.io/kubernetes is no library: its go.mod replaces the modules it is made of (k8s.io/api and so on) by folders of its
own tree, which others do not have. They are published too, as v0.MINOR.PATCH, so ours names each of them.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from hack.gobuild import BuildError, run_go

HERE = Path(__file__).resolve().parent
MAIN = HERE / "main.go"
KUBERNETES = "k8s.io/kubernetes"
MODULE = "github.com/defilantech/llmkube/hack/controlplane"
STAGING = "./staging/"


class ControlPlaneError(BuildError):
    """The control plane cannot be had, for a reason that a person can mend; the message begins with one line."""


def default_version() -> str:
    """Return the version of Kubernetes that the committed go.mod names, as X.Y.Z."""
    found = re.search(rf"^(?:require )?\s*{re.escape(KUBERNETES)} v(\S+)$", (HERE / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise ControlPlaneError(f"{HERE / 'go.mod'}: expected a version of {KUBERNETES}, there is none")
    return found[1]


def checked(version: str) -> str:
    """Return the version as X.Y.Z, with or without a v in front."""
    found = re.fullmatch(r"v?(1\.\d+\.\d+)", version)
    if not found:
        raise ControlPlaneError(f"--kubernetes {version}: expected a version such as {default_version()}")
    return found[1]


def write_module(folder: Path, version: str) -> None:
    """Write go.mod and go.sum for a version of Kubernetes beside a main.go."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / MAIN.name).exists():
        shutil.copyfile(MAIN, folder / MAIN.name)
    (folder / "go.sum").unlink(missing_ok=True)
    (folder / "go.mod").write_text(f"module {MODULE}\n")
    told = json.loads(run_go("mod", "download", "-json", f"{KUBERNETES}@v{version}", folder=folder))
    theirs = json.loads(run_go("mod", "edit", "-json", told["GoMod"], folder=folder))
    (folder / "go.mod").write_text(go_mod(theirs, version))
    run_go("mod", "tidy", folder=folder)


def go_mod(theirs: dict[str, Any], version: str) -> str:
    """Return our go.mod before tidying, from Kubernetes' own as `go mod edit -json` tells it."""
    published = f"v0.{version.removeprefix('1.')}"
    staged = [one["Old"]["Path"] for one in theirs["Replace"] or [] if one["New"]["Path"].startswith(STAGING)]
    replaced = "".join(f"\t{path} => {path} {published}\n" for path in sorted(staged))
    return f"module {MODULE}\n\ngo {theirs['Go']}\n\nrequire {KUBERNETES} v{version}\n\nreplace (\n{replaced})\n"
