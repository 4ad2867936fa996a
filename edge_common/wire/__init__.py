"""The only place that spells what crosses a process border: topics, routes, messages and their schemas."""
