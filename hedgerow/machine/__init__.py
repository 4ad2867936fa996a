"""One machine with all three tiers: what `hedgerow up`, `down` and `status` do."""
