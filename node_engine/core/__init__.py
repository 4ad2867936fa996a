"""Pure decisions of a node: what to create, start and stop next, and when."""
