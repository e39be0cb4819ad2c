"""How a pod stops: it ends once no client is connected to the engine any more, not in the middle of an answer.

    drain_part(grace_seconds: int) -> PodPart       the preStop hook, and who is process 1
    hook(grace_seconds: int) -> dict                a LifecycleHandler of core/v1

llama-server answers SIGTERM by cutting off what it is saying (b11669), or by hanging (b11434), so the signal must come
after the last byte. The hook looks at the kernel's table of connections, not at the engine's /metrics: a request has a
connection from before the engine counts it until its last byte has been taken, and reading the table needs neither an
API key, nor TLS, nor any program but sh. Connections that only wait for another request count, too: one that comes as
SIGTERM does is never answered (b11669). The engine closes them itself, after 5 seconds or its 100th answer. The kubelet
calls no hook for a container that has ended by itself.
"""

from __future__ import annotations

from typing import Any

from llmkube.desired.arguments import PORT
from llmkube.desired.pod_part import PodPart

HOST = "0.0.0.0"  # noqa: S104 - what the engine's --host says; a node that gives a pod another address rewrites both
SETTLE_SECONDS = 5
"""Until every kube-proxy and load balancer has heard that the pod is to get no more connections."""
_MARGIN_SECONDS = 5
"""Of the grace, for the engine's own end after the hook."""

SCRIPT = """\
host=$1 least=$3 most=$4 engine=$(printf %04X "$2")
case $host in
0.0.0.0) engine="*:$engine" ;;
*) IFS=. && set -- $host && unset IFS && engine=$(printf %02X%02X%02X%02X "$4" "$3" "$2" "$1"):$engine ;;
esac
is_connected() {
  for table in /proc/net/tcp /proc/net/tcp6; do
    [ -r $table ] || continue
    while read -r _ here _ state queues _; do
      case $here in $engine) ;; *) continue ;; esac
      case $state/$queues in 0[49]/0000000[01]:*) ;; 0[13489]/*) return 0 ;; esac
    done <$table
  done
  return 1
}
[ -r /proc/net/tcp ] || exec sleep "$most"
waited=0 quiet=0
while [ $waited -lt "$most" ]; do
  if is_connected; then quiet=0; else quiet=$((quiet + 1)); fi
  if [ $waited -ge "$least" ] && [ $quiet -ge 2 ]; then exit 0; fi
  sleep 1
  waited=$((waited + 1))
done
"""
"""sh SCRIPT HOST PORT LEAST MOST: ends as soon as two looks in a row, a second apart, found no connection to HOST:PORT
that may still bring or take bytes (established, being opened, half closed, or closed with bytes on their way), not
before LEAST seconds and not after MOST. One of which only the end is not acknowledged (a queue of 1) does not count:
who went away without a word never acknowledges it. HOST 0.0.0.0 is every address, as it is to the engine. Where there
is no table (an operating system that is not Linux) it waits for the whole time. include/net/tcp_states.h has the
states."""


def hook(grace_seconds: int) -> dict[str, Any]:
    """Return the handler; it leaves the engine a part of the grace."""
    most = grace_seconds - min(_MARGIN_SECONDS, grace_seconds // 2)
    numbers = (PORT, min(SETTLE_SECONDS, most), most)
    return {"exec": {"command": ["sh", "-c", SCRIPT, "drain", HOST, *map(str, numbers)]}}


def drain_part(grace_seconds: int) -> PodPart:
    """Return what lets a pod stop without a loss.

    The process namespace is shared so that the pod's pause container is process 1: the kernel keeps a signal from a
    process 1 that has no handler for it, and the engine has none while it loads a model.
    """
    return PodPart(
        container={"lifecycle": {"preStop": hook(grace_seconds)}},
        pod={"terminationGracePeriodSeconds": grace_seconds, "shareProcessNamespace": True},
    )
