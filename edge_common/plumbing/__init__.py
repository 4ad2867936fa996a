"""Thin, reused input and output: settings, logs, HTTP, MQTT, documents, the mailbox, the clock."""
