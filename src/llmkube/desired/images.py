"""How images are pulled.

    pull_policy(image: str) -> str

Always rendered: the API server's default is set once and stays when the image of a live Deployment changes, so that a
pinned image would go on being pulled because `:latest` was there before it.
"""

from __future__ import annotations


def pull_policy(image: str) -> str:
    """Return what kube-apiserver would default to for a new object: a moving tag is pulled for every pod."""
    if "@" in image:
        return "IfNotPresent"
    _, separator, tag = image.rpartition("/")[2].partition(":")
    return "IfNotPresent" if separator and tag != "latest" else "Always"
