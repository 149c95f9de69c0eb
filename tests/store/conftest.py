"""The fixtures of ``stored``, for all tests of this room."""

from stored import churn, make_draft, make_model, now, put, store

__all__ = ["churn", "make_draft", "make_model", "now", "put", "store"]
