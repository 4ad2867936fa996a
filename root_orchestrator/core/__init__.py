"""Pure decisions of the root: admission, intents, which cluster runs what."""
