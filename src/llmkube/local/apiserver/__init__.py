"""The Kubernetes API in one process: objects in SQLite, HTTPS on loopback. It knows Kubernetes, never the operator."""
