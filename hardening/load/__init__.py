"""What the tools that load a running service have in common: its process, its answers, and a generator of requests."""
