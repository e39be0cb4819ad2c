from __future__ import annotations

import asyncio
import contextlib
import errno

from llmkube.local.controllers.node_ports import with_node_ports
from llmkube.local.controllers.proxy import Endpoint, Listener, explain, ready
from llmkube.local.controllers.services import slices, target_ports
from llmkube.local.controllers.volumes import claims
from llmkube.local.objects import matches_labels


def service(**spec):
    body = {"selector": {"app": "x"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}], **spec}
    meta = {"name": "s", "namespace": "n", "uid": "u"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": body}


def pod(name, *, is_ready=True, deleting=False, port=8080):
    condition = {"type": "Ready", "status": str(is_ready), "lastTransitionTime": "2026-01-01T00:00:00Z"}
    meta = {"name": name, "namespace": "n", "uid": name} | ({"deletionTimestamp": "x"} if deleting else {})
    ports = [{"name": "http", "containerPort": port}]
    return {
        "metadata": meta,
        "spec": {"nodeName": "local", "containers": [{"ports": ports}]},
        "status": {"podIP": f"ip-{name}", "conditions": [condition]},
    }


def test_only_ready_pods_that_are_not_ending_are_ready_endpoints():
    found = slices(service(), [pod("a"), pod("b", is_ready=False), pod("c", deleting=True)])
    assert ready(found, "http") == [Endpoint("ip-a", 8080)]
    states = [one["conditions"] for one in found[0]["endpoints"]]
    assert states[2] == {"ready": False, "serving": True, "terminating": True}


def test_pods_that_name_their_port_differently_get_slices_of_their_own():
    found = slices(service(), [pod("a"), pod("b", port=9090)])
    assert len(found) == 2
    assert sorted(ready(found, "http")) == [Endpoint("ip-a", 8080), Endpoint("ip-b", 9090)]


def test_unready_pods_can_be_published_on_request():
    found = slices(service(publishNotReadyAddresses=True), [pod("a", is_ready=False)])
    assert ready(found, "http") == [Endpoint("ip-a", 8080)]


def test_a_port_name_that_the_pod_lacks_is_left_out():
    wanted = service(ports=[{"name": "x", "port": 1, "targetPort": "other"}, {"name": "y", "port": 2}])
    assert target_ports(wanted, pod("a")) == [{"name": "y", "port": 2, "protocol": "TCP"}]


def test_errors_say_what_to_do():
    assert "another program has this port" in explain(Endpoint("a", 1), OSError(errno.EADDRINUSE, "x"))
    assert "choose a higher port" in explain(Endpoint("a", 80), OSError(errno.EACCES, "x"))


def test_a_service_that_is_exposed_has_node_ports_of_its_own_that_stay():
    exposed = service(type="NodePort", ports=[{"port": 80}, {"port": 81}])
    first, second = (port["nodePort"] for port in with_node_ports(exposed, used=()))
    assert first != second
    assert all(30000 <= number <= 32767 for number in (first, second))
    again = service(type="LoadBalancer", ports=[{"port": 80, "nodePort": first}, {"port": 81}])
    found = [port["nodePort"] for port in with_node_ports(again, used={second})]
    assert found[0] == first
    assert found[1] not in {first, second}
    inside = service(ports=[{"port": 80, "nodePort": first}])
    assert with_node_ports(inside, used=()) == [{"port": 80}]


def test_label_selectors():
    expression = {"key": "a", "operator": "In", "values": ["1"]}
    assert matches_labels({"matchLabels": {"b": "2"}, "matchExpressions": [expression]}, {"a": "1", "b": "2"})
    assert not matches_labels({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": "1"})
    assert matches_labels({}, {})
    assert not matches_labels(None, {})


def test_claims_of_a_pod():
    volumes = [{"name": "a", "emptyDir": {}}, {"name": "b", "persistentVolumeClaim": {"claimName": "c"}}]
    assert claims({"spec": {"volumes": volumes}}) == ["c"]


async def with_listener(serve, client):
    """A backend that runs `serve`, a listener in front of it, and a client."""
    backend = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = backend.sockets[0].getsockname()[1]
    async with asyncio.TaskGroup() as group:
        listener = Listener(group, [Endpoint("127.0.0.1", port)])
        await listener.open(Endpoint("127.0.0.1", 0))
        front = listener._server.sockets[0].getsockname()[1]
        try:
            return await client(*await asyncio.open_connection("127.0.0.1", front))
        finally:
            listener.close()
            backend.close()


async def test_each_direction_of_a_connection_ends_by_itself():
    async def serve(reader, writer):
        everything = await reader.read()
        writer.write(b"got %d" % len(everything))
        writer.close()

    async def client(reader, writer):
        writer.write(b"x" * 300_000)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer

    assert await with_listener(serve, client) == b"got 300000"


async def test_a_connection_that_breaks_behind_the_proxy_breaks_in_front_and_nothing_else():
    async def serve(reader, writer):
        await reader.read(1)
        writer.transport.abort()

    async def client(reader, writer):
        writer.write(b"x")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        return "closed"

    assert await with_listener(serve, client) == "closed"


async def test_a_connection_lives_on_when_the_pod_behind_it_gets_no_more_and_the_next_goes_elsewhere():
    async def serve(reader, writer):
        writer.write(await reader.readline())
        writer.close()

    async def other(reader, writer):
        writer.write(b"other")
        writer.close()

    first, second = [await asyncio.start_server(each, "127.0.0.1", 0) for each in (serve, other)]
    ports = [each.sockets[0].getsockname()[1] for each in (first, second)]
    async with asyncio.TaskGroup() as group:
        listener = Listener(group, [Endpoint("127.0.0.1", ports[0])])
        await listener.open(Endpoint("127.0.0.1", 0))
        front = listener._server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", front)
        writer.write(b"half a li")
        await asyncio.sleep(0.1)
        listener.use([Endpoint("127.0.0.1", ports[1])])
        late, late_writer = await asyncio.open_connection("127.0.0.1", front)
        late_writer.write_eof()
        assert await late.read() == b"other"
        writer.write(b"ne\n")
        assert await reader.read() == b"half a line\n"
        for each in (writer, late_writer, listener, first, second):
            each.close()


def test_the_slices_of_a_service_have_its_labels():
    one = service()
    labelled = {**one, "metadata": {**one["metadata"], "labels": {"team": "ml"}}}
    assert [each["metadata"]["labels"]["team"] for each in slices(labelled, [])] == ["ml"]
