"""What people, and other programs, do to a cluster: one action after the other, each chosen by chance.

Nobody here waits for anything, and a request that makes no sense (an object that is not there) is simply not made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.sim.state import KINDS, key_of

if TYPE_CHECKING:
    import random

    from tests.sim.ownership import Manifest
    from tests.sim.state import State

GROUP = "inference.llmkube.dev/v1alpha1"
NAMESPACES = ("a", "b")
MODELS = ("m0", "m1")
SERVICES = ("s0", "s1", "s2")
DIGESTS = ("ab" * 32, "cd" * 32)
CHILDREN = ("deployments", "services", "persistentvolumeclaims", "jobs", "pods")
SEEN = "people.example/seen"


class People:
    """`act` does one thing. `noted` is what they wrote into objects that nobody else may take away."""

    def __init__(self, state: State, chance: random.Random) -> None:
        self._state = state
        self._chance = chance
        self._count = 0
        self.noted: dict[tuple[str, str], str] = {}

    def act(self) -> None:
        actions = [self._apply_model, self._apply_service, self._scale, self._delete_own, self._delete_child]
        self._chance.choice([*actions, self._apply_service, self._annotate, self._tamper])()

    def _apply_model(self) -> None:
        spec: dict[str, Any] = {"source": f"https://example.com/{self._chance.randint(0, 2)}.gguf"}
        if self._chance.random() < 0.3:
            spec["sha256"] = self._chance.choice(DIGESTS)
        if self._chance.random() < 0.3:
            spec["refresh"] = "OnChange"
        if self._chance.random() < 0.05:
            spec["source"] = "nonsense"
        self._apply("models", "Model", self._chance.choice(MODELS), spec)

    def _apply_service(self) -> None:
        spec: dict[str, Any] = {"modelRef": self._chance.choice(MODELS), "replicas": self._chance.randint(0, 2)}
        if self._chance.random() < 0.5:
            spec["contextSize"] = self._chance.choice((512, 1024, 2048))
        if self._chance.random() < 0.05:
            spec["extraArgs"] = ["--model", "/etc/passwd"]
        self._apply("inferenceservices", "InferenceService", self._chance.choice(SERVICES), spec)

    def _apply(self, resource: str, kind: str, name: str, spec: Manifest) -> None:
        metadata = {"namespace": self._chance.choice(NAMESPACES), "name": name}
        obj = {"apiVersion": GROUP, "kind": kind, "metadata": metadata, "spec": spec}
        self._state.apply(resource, obj, "kubectl")

    def _any(self, *resources: str) -> tuple[str, Manifest] | None:
        there = [(each, obj) for each in resources for obj in self._state.items(each)]
        return self._chance.choice(there) if there else None

    def _scale(self) -> None:
        if found := self._any("inferenceservices"):
            self._state.patch(found[0], key_of(found[1]), {"spec": {"replicas": self._chance.randint(0, 3)}})

    def _delete_own(self) -> None:
        if self._chance.random() < 0.5 and (found := self._any("models", "inferenceservices")):
            self._state.delete(found[0], key_of(found[1]))

    def _delete_child(self) -> None:
        if found := self._any(*CHILDREN):
            self._state.delete(found[0], key_of(found[1]))

    def _annotate(self) -> None:
        """An annotation of their own must survive whatever the operator does."""
        if found := self._any("models", "inferenceservices", "deployments", "services"):
            self._count += 1
            word = str(self._count)
            self._state.patch(found[0], key_of(found[1]), {"metadata": {"annotations": {SEEN: word}}})
            self.noted[found[0], found[1]["metadata"]["uid"]] = word

    def _tamper(self) -> None:
        """A field that is the operator's must be put back."""
        found = self._any("deployments", "services")
        if found and found[0] == "deployments":
            self._state.patch(found[0], key_of(found[1]), {"spec": {"replicas": self._chance.randint(0, 5)}})
        elif found:
            self._state.patch(found[0], key_of(found[1]), {"spec": {"ports": []}})

    def lost(self) -> list[str]:
        """Annotations of objects that are still there, and are not what was written last."""
        found = {
            (resource, each["metadata"]["uid"]): each["metadata"].get("annotations", {}).get(SEEN)
            for resource in KINDS
            for each in self._state.items(resource)
        }
        return [f"{where} lost {word}" for where, word in self.noted.items() if where in found and found[where] != word]
