"""The root's HTTP API."""
