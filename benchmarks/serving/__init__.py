"""Serving, side by side with peers: throughput, latency, cold start, memory and size at equal probabilities."""
