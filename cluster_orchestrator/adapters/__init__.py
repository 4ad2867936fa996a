"""The cluster's doors to the world."""
