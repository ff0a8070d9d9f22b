"""Tests of the whole daemon with real HAProxy; run them with `tests/integration/run`."""
