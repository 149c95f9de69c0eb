"""Attacks on the service that take too long for the suite; see README.md."""
