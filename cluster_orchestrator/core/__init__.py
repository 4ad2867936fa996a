"""Pure decisions of a cluster: which node runs what, and what the root is shown."""
