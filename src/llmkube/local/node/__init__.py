"""The process node: pods as host processes (docs: `llmkube local`)."""
