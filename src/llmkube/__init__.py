"""LLMKube: a Kubernetes operator that makes GPU-accelerated LLM inference a first-class workload."""

__version__ = "0.3.0.dev0"
