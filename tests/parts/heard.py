"""A listener of a transport that remembers."""


class Heard:
    def __init__(self) -> None:
        self.connects: list[bool] = []
        self.disconnects: list[str] = []
        self.messages: list[tuple[str, bytes, bool]] = []

    def on_connected(self, has_session: bool) -> None:
        self.connects.append(has_session)

    def on_disconnected(self, reason: str) -> None:
        self.disconnects.append(reason)

    def on_message(self, topic: str, payload: bytes, is_retained: bool) -> None:
        self.messages.append((topic, payload, is_retained))

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, payload, _ in self.messages]
