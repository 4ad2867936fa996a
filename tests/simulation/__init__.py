"""Root, clusters and nodes in one process: memory links, a fake clock, seeded faults."""
