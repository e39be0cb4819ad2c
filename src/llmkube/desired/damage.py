"""Whether an engine ended because the file that it was given is damaged, by its last words.

    suspect(pods: Iterable[Pod]) -> Pod | None

Pure. Files rot, and disks lie; what was verified when it came may not be the same a year later.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmkube.kube.objects import ContainerStatus, Pod

_UNREADABLE = re.compile(r"gguf_init_from_\w+: (?!failed to open)|corrupted or incomplete|not within the file bounds")
"""llama.cpp's ggml/src/gguf.cpp and src/llama-model-loader.cpp; a file that is not there is no damage."""


def suspect(pods: Iterable[Pod]) -> Pod | None:
    """Return the oldest pod whose engine could not read its file; the same one as long as it is there."""
    found = [each for each in pods if could_not_read(each)]
    return min(found, key=lambda pod: (pod.metadata.creation_timestamp or "", pod.metadata.name), default=None)


def could_not_read(pod: Pod) -> bool:
    """Whether an engine of the pod said so when it last ended, and none has got ready since."""
    if pod.metadata.deletion_timestamp is not None:
        return False
    return any(_UNREADABLE.search(words) for each in pod.status.container_statuses if (words := _last_words(each)))


def _last_words(container: ContainerStatus) -> str:
    ended = container.state.terminated or (None if container.ready else container.last_state.terminated)
    return ended.message if ended is not None and ended.exit_code != 0 else ""
