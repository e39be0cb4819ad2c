"""Queues, controllers and the manager that runs them: knows reconcilers, knows no HTTP API and nothing of models."""
