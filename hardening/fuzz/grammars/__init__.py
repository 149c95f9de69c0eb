"""Grammars of hypothesis: bodies, queries, headers and paths that are nearly right."""
