"""A stand-in for nodes: neither control plane of these tests has one, so nothing real runs in their pods.

It says of every pod what a kubelet would say when all goes well: a fetch Job's pod has verified a file, any other pod
is ready. What real pods do is tested by tests/component/local and by e2e.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from datetime import UTC, datetime
from http.client import HTTPException
from typing import TYPE_CHECKING

from tests.component.operator.api import Refused, path

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object

SHA256 = "ab" * 32
NOW = "2026-01-01T00:00:00Z"
TICK = 0.05
HEARTBEAT = 10.0
GOING = {403, 404, 409}
"""What a pod that is gone is answered with; 403 is a binding in a namespace that is being deleted."""
UNWELL = (OSError, HTTPException, Refused)
LOG = logging.getLogger(__name__)
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "stand-in"}, "spec": {"unschedulable": True}}


def verified(pod: Object) -> str:
    """The last words of `llmkube fetch` in this pod."""
    words = pod["spec"]["containers"][0]["command"]
    flags = ("--namespace", "--name", "--sha256", "--size")
    given = {flag: words[words.index(flag) + 1] for flag in flags if flag in words}
    digest = given.get("--sha256", SHA256)
    where = f"v1/models/{given['--namespace']}/{given['--name']}/{digest[:12]}/model.gguf"
    return json.dumps({"event": "done", "sha256": digest, "bytes": int(given["--size"]), "path": where})


def status_of(pod: Object) -> Object:
    fetches = pod["spec"]["containers"][0]["name"] == "fetch"
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": NOW, "finishedAt": NOW}}
    if fetches:
        ended["terminated"]["message"] = verified(pod)
    state = ended if fetches else {"running": {"startedAt": NOW}}
    said = "False" if fetches else "True"
    told = {"ready": not fetches, "restartCount": 0, "image": "x", "imageID": "x", "state": state}
    conditions = [
        {"type": each, "status": said if each.endswith("Ready") else "True", "lastTransitionTime": NOW}
        for each in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    address = f"10.{int(pod['metadata']['uid'][:2], 16)}.{int(pod['metadata']['uid'][2:4], 16)}.7"
    return {
        "phase": "Succeeded" if fetches else "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": conditions,
        "startTime": NOW,
        "containerStatuses": [{"name": each["name"], **told} for each in pod["spec"]["containers"]],
    }


class Kubelet:
    """Looks at the pods of all namespaces again and again, in a thread; `held` makes it say nothing.

    With `binds` it gives pods a node as well: a real scheduler has none to give, and says so again and again.
    """

    def __init__(self, api: Api, *, binds: bool = False) -> None:
        self.held = threading.Event()
        self._binds = binds
        self._api = api
        self._due = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Kubelet:
        if self._binds:
            self._api.apply("nodes", "", NODE)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        """A kubelet goes on, whatever a server says or does not: tests of others come after the one in which it did."""
        while not self._stop.wait(TICK):
            try:
                self._beat()
                self._round()
            except UNWELL as error:  # a server that restarts, or is gone before us, as tests have it
                LOG.warning("the stand-in for nodes: %s", error)

    def _beat(self) -> None:
        """Of a node that says nothing for a minute the node lifecycle controller says that its pods are not ready."""
        if self._binds and time.monotonic() >= self._due:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": NOW}
            body = {"status": {"conditions": [{**ready, "lastHeartbeatTime": now}]}}
            self._api.patch("nodes", "", NODE["metadata"]["name"], body, "status")
            self._due = time.monotonic() + HEARTBEAT

    def _round(self) -> None:
        if self.held.is_set():
            return
        for pod in self._api.items("pods"):
            try:
                self._tell(pod)
            except UNWELL as error:  # the next pod is another's
                if not isinstance(error, Refused) or error.status not in GOING:
                    LOG.warning("pod %s/%s: %s", pod["metadata"]["namespace"], pod["metadata"]["name"], error)

    def _tell(self, pod: Object) -> None:
        metadata = pod["metadata"]
        where = path("pods", metadata["namespace"], metadata["name"])
        if metadata.get("deletionTimestamp"):
            self._api.ask("DELETE", where, {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}})
        elif pod.get("status", {}).get("phase", "Pending") == "Pending":
            self._bind(pod, where)
            self._api.patch("pods", metadata["namespace"], metadata["name"], {"status": status_of(pod)}, "status")

    def _bind(self, pod: Object, where: str) -> None:
        if self._binds and not pod["spec"].get("nodeName"):
            target = {"kind": "Node", "name": NODE["metadata"]["name"]}
            body = {"metadata": {"name": pod["metadata"]["name"]}, "target": target}
            self._api.ask("POST", f"{where}/binding", body)
