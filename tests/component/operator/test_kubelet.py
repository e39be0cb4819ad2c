"""The stand-in for nodes, against an API server that is a stand-in too."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.component.operator.api import Refused
from tests.component.operator.kubelet import Kubelet


class Scripted:
    """Two pods; whatever is asked of the first one ends as it is told."""

    def __init__(self, end: Exception) -> None:
        self._end = end
        self.reported = threading.Event()

    def items(self, _: str) -> list[dict[str, Any]]:
        spec = {"nodeName": "stand-in", "containers": [{"name": "engine"}]}
        return [
            {"metadata": {"namespace": "team", "name": name, "uid": "0123"}, "spec": spec} for name in ("first", "next")
        ]

    def patch(self, _resource: str, _namespace: str, name: str, *_: Any) -> None:
        if name == "first":
            raise self._end
        self.reported.set()


@pytest.mark.parametrize("end", [Refused(403), Refused(500), TimeoutError(), ConnectionResetError()], ids=repr)
def test_a_pod_that_cannot_be_reported_holds_up_no_other(end: Exception) -> None:
    api = Scripted(end)
    with Kubelet(api):  # type: ignore[arg-type]
        for _ in range(2):
            api.reported.clear()
            assert api.reported.wait(10)
