"""What must hold once it is quiet, whatever happened before. Each check returns what it found, in one line each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.sim.operator import LEASE_KEY
from tests.sim.state import State, key_of

from llmkube.kube.kinds import Key

if TYPE_CHECKING:
    from tests.sim.operator import Operator
    from tests.sim.ownership import Manifest
    from tests.sim.server import Server
    from tests.sim.simulation import Simulation

VOLATILE = frozenset({"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "annotations"})


def check(simulation: Simulation) -> None:
    """Add every broken invariant to the simulation's violations."""
    state = simulation.server.state
    found = [*one_leads(simulation), *simulation.people.lost()]
    for each in simulation.alive:
        found += [
            f"{each.process.name}: {said}"
            for said in (*differs(each, simulation.server), *leftovers(each), *growth(each, state))
        ]
    simulation.violations += found


def unfinished(operator: Operator) -> str:
    """What an operator still means to do; a standby's queues fill and nobody empties them, but it follows as well."""
    told = [f"{each.name}: {each.last_error}" for each in operator.wiring.informers if each.last_error]
    if not operator.leads:
        return "; ".join(told)
    for controller in operator.wiring.controllers:
        now = controller.queue.statistics()
        if now.ready or now.processing or now.delayed:
            told.append(f"{controller.name}: {now}")
    return "; ".join(told)


def one_leads(simulation: Simulation) -> list[str]:
    lease = simulation.server.state.find("leases", LEASE_KEY)
    holder = lease["spec"]["holderIdentity"] if lease else ""
    leading = [each.process.name for each in simulation.alive if each.leads]
    return [] if leading == [holder] else [f"{leading} lead while the lease says {holder!r}"]


def differs(operator: Operator, server: Server) -> list[str]:
    """An informer's store is the server's collection, to the version."""
    found = []
    for informer in operator.wiring.informers:
        selector = informer._parts[0].watcher._selector.get("labelSelector", "")
        has = {(*key_of_struct(each), each.metadata.resource_version) for each in informer.store.list()}
        there = server.select(informer.kind.plural, selector)
        wanted = {(*key_of(each), each["metadata"]["resourceVersion"]) for each in there}
        if has != wanted:
            found.append(f"{informer.name}: the store has {sorted(has - wanted)} and lacks {sorted(wanted - has)}")
    return found


def key_of_struct(obj: Any) -> tuple[str, str]:
    return obj.metadata.namespace, obj.metadata.name


def leftovers(operator: Operator) -> list[str]:
    """Work that is not done, and bugs that were caught and counted."""
    found = []
    for controller in operator.wiring.controllers:
        now = controller.queue.statistics()
        if operator.leads and (now.failing or now.delayed or now.processing):
            found.append(f"{controller.name} is not done: {now}")
    for family in operator.metrics.panics.collect():
        panics = [each for each in family.samples if each.value and each.name.endswith("_total")]
        found += [f"a reconcile of {each.labels} failed by a bug" for each in panics]
    return found


def growth(operator: Operator, state: State) -> list[str]:
    """What is remembered of objects that are gone."""
    there = {key_of(each) for known in ("models", "inferenceservices") for each in state.items(known)}
    found = [
        f"{name} remembers what it wrote for {gone}"
        for name, applier in operator.wiring.appliers.items()
        if (gone := {*applier._written, *applier._made, *applier._latest, *applier._admissions._answers} - there)
    ]
    for controller in operator.wiring.controllers:
        queue = controller.queue
        if operator.leads and (queue._heap or queue._failures or queue._delayed):
            found.append(f"{controller.name}: its queue keeps {len(queue._heap)} entries that nobody wants")
    return found


def projection(state: State) -> dict[str, Any]:
    """What a cluster came to, without what depends on how it came there.

    What serves is not taken away while its Model is not ready (any more) or its own spec is refused, nor is a claim:
    there the past shows, on purpose, and only the verdict on the Model is held against a cluster without that past.
    """
    ready = {key_of(each) for each in state.items("models") if each.get("status", {}).get("phase") == "Ready"}
    told: dict[str, Any] = {f"models {key_of(each)}": status_of(each) for each in state.items("models")}
    served = set()
    for each in state.items("inferenceservices"):
        key = key_of(each)
        if Key(key.namespace, each["spec"]["modelRef"]) in ready and each.get("status", {}).get("phase") != "Failed":
            served.add(key)
        told[f"inferenceservices {key}"] = status_of(each) if key in served else model_ready(each)
    beside = (("poddisruptionbudgets", served), ("networkpolicies", served))
    for resource, owned in (("deployments", served), ("services", served), *beside, ("persistentvolumeclaims", ready)):
        for each in state.items(resource):
            if owners_of(each) & owned or not is_owned(each, state):
                told[f"{resource} {key_of(each)}"] = intent_of(each)
    return told


def owners_of(obj: Manifest) -> set[Key]:
    namespace = obj["metadata"]["namespace"]
    return {Key(namespace, each["name"]) for each in obj["metadata"].get("ownerReferences", [])}


def is_owned(obj: Manifest, state: State) -> bool:
    """Whether somebody who is there owns it; what nobody owns is left over."""
    alive = {each["metadata"]["uid"] for known in state.objects for each in state.items(known)}
    return any(each["uid"] in alive for each in obj["metadata"].get("ownerReferences", []))


def model_ready(obj: Manifest) -> Any:
    return [each["reason"] for each in obj.get("status", {}).get("conditions", []) if each["type"] == "ModelReady"]


def status_of(obj: Manifest) -> Manifest:
    status = obj.get("status", {})
    kept = {name: status.get(name) for name in ("phase", "path", "sha256", "replicas", "readyReplicas", "plan")}
    conditions = {each["type"]: (each["status"], each["reason"]) for each in status.get("conditions", [])}
    return {**kept, "conditions": conditions, "finalizers": obj["metadata"].get("finalizers")}


def intent_of(obj: Manifest) -> Manifest:
    spec = {name: value for name, value in obj["spec"].items() if name != "clusterIP"}
    owners = [(each["kind"], each["name"]) for each in obj["metadata"].get("ownerReferences", [])]
    return {"spec": spec, "labels": obj["metadata"].get("labels"), "owners": owners}


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Compare with the cluster that never had a fault."""
    told = [f"{name} is there and should not be" for name in sorted(set(found) - set(wanted))]
    told += [f"{name} should be there and is not" for name in sorted(set(wanted) - set(found))]
    for name in sorted(set(found) & set(wanted)):
        if found[name] != wanted[name]:
            told.append(f"{name} is {json.dumps(found[name])}, and without faults {json.dumps(wanted[name])}")
    return told
