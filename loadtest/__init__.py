"""Seeded traffic and measurements: a client like any other, that knows only the wire."""
