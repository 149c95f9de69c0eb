"""Hostile requests for a running service: see ``hardening/README.md``."""
