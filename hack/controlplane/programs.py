"""The arguments of each program. Every path is relative to DIR, which is where they run.

etcd listens on sockets in DIR only: it asks nobody who they are, and a path there is nobody else's.
"""

from __future__ import annotations

import yaml

CLIENTS_SOCKET = "etcd-clients:0"  # etcd wants something like a port in a socket's name
CLIENTS = f"unix://{CLIENTS_SOCKET}"
PEERS = "unix://etcd-peers:0"
ADDRESS = "127.0.0.1"
ETCD_CONFIG = {
    "name": "controlplane",
    "data-dir": "etcd",
    "listen-client-urls": CLIENTS,
    "advertise-client-urls": CLIENTS,
    "listen-peer-urls": PEERS,
    "initial-advertise-peer-urls": PEERS,
    "initial-cluster": f"controlplane={PEERS}",
    # A test's data need not survive the machine's end, and a flush costs more than all else in a write.
    "unsafe-no-fsync": True,
    # In milliseconds: the only member need not wait long for the others' votes.
    "heartbeat-interval": 10,
    "election-timeout": 100,
    "log-level": "warn",
    # In nanoseconds. A configuration file's default is 0, which logs every request.
    "warning-unary-request-duration": 1_000_000_000,
}
# What service accounts of ours ask for and are refused: what a test of their rights reads.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "Metadata", "userGroups": ["system:serviceaccounts:llmkube-system"]},
        {"level": "None"},
    ],
}
ETCD, APISERVER, CONTROLLERS, SCHEDULER = "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"


def etcd_config() -> str:
    """Return the content of etcd.yaml."""
    return yaml.safe_dump(ETCD_CONFIG, sort_keys=False)


def audit_policy() -> str:
    """Return the content of audit.yaml."""
    return yaml.safe_dump(AUDIT_POLICY, sort_keys=False)


def etcd() -> list[str]:
    """Return etcd's arguments."""
    return [ETCD, "--config-file=etcd.yaml"]


def apiserver(port: int) -> list[str]:
    """Return kube-apiserver's arguments."""
    return [
        APISERVER,
        f"--etcd-servers={CLIENTS}",
        f"--bind-address={ADDRESS}",
        f"--advertise-address={ADDRESS}",
        f"--secure-port={port}",
        # The port is held for it until it listens: see ports.py.
        "--permit-port-sharing",
        # Kubernetes 1.37 refuses to advertise a loopback address; without pods nobody asks for the endpoint.
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--tls-cert-file=apiserver.crt",
        "--tls-private-key-file=apiserver.key",
        "--client-ca-file=ca.crt",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=service-accounts.key",
        "--service-account-signing-key-file=service-accounts.key",
        "--allow-privileged=true",
        "--audit-policy-file=audit.yaml",
        "--audit-log-path=audit.log",
        "--cert-dir=.",
    ]


def controllers() -> list[str]:
    """Return kube-controller-manager's arguments."""
    return [
        CONTROLLERS,
        *_client(CONTROLLERS),
        # The defaults hold the controllers back for seconds at the start, and whenever a namespace is emptied.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--use-service-account-credentials",
        "--service-account-private-key-file=service-accounts.key",
        "--root-ca-file=ca.crt",
    ]


def scheduler() -> list[str]:
    """Return kube-scheduler's arguments."""
    return [SCHEDULER, *_client(SCHEDULER)]


def _client(name: str) -> list[str]:
    """What only talks to the API server serves nothing itself, and is the only one of its kind."""
    return [f"--kubeconfig={name}.kubeconfig", "--secure-port=0", "--leader-elect=false"]
