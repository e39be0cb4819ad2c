"""The engine of this machine: where a llama-server is found, and a launcher that stands in for one."""
