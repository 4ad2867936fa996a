"""What an operator can tell a node by hand, also while its engine does not run."""
