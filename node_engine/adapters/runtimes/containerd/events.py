"""containerd's events: one thread that listens, and listens again after every break."""

import logging
import random
import threading
from collections.abc import Callable

from edge_common.model.errors import HedgerowError
from node_engine.adapters.runtimes.containerd import client as c
from node_engine.adapters.runtimes.containerd.proto import containerd_pb2 as pb

logger = logging.getLogger(__name__)

MIN_DELAY_S = 0.1
MAX_DELAY_S = 5.0
GREETING_TIMEOUT_S = 0.4
"""At first; with every failure it grows as the delay does, for machines that are slow."""
_EXIT = "/tasks/exit"
_IMAGES = "/images/"
_GREETING = "/hedgerow/listening"


class Watcher:
    """Calls, from its own thread: `on_listening` after each (re)connect, `on_exit` with container and code, and
    `on_images` when an image came, changed or went.

    containerd does not say when a subscription has begun, so the watcher publishes an event itself and waits for it.
    """

    def __init__(
        self,
        client: c.Client,
        on_listening: Callable[[], None],
        on_exit: Callable[[str, int], None],
        on_images: Callable[[], None],
    ) -> None:
        self._client = client
        self._on_listening = on_listening
        self._on_exit = on_exit
        self._on_images = on_images
        self._ending = threading.Event()
        self._guard = threading.Lock()
        self._stream: c.Stream[pb.Envelope] | None = None
        self._delay_s = MIN_DELAY_S
        self._thread = threading.Thread(target=self._run, name="containerd-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ending.set()
        self._cancel()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._listen()
            except HedgerowError as error:
                if not self._ending.is_set():
                    logger.warning("lost containerd's events error=%s retry_within_s=%.1f", error, self._delay_s)
            except Exception:
                logger.exception("an event of containerd could not be handled")
            self._ending.wait(self._delay_s * random.uniform(0.5, 1.0))  # noqa: S311
            self._delay_s = min(self._delay_s * 2, MAX_DELAY_S)

    def _listen(self) -> None:
        namespace = self._client.namespace
        topics = f'topic~="^({_EXIT}|{_IMAGES}.*|{_GREETING})$"'
        stream = self._client.stream(
            c.SUBSCRIBE, pb.SubscribeRequest(filters=[f"namespace=={namespace},{topics}"]), timeout_s=None
        )
        with self._guard:
            self._stream = stream
        if self._ending.is_set():
            self._cancel()
        impatience = threading.Timer(GREETING_TIMEOUT_S + 4 * (self._delay_s - MIN_DELAY_S), self._cancel)
        impatience.daemon = True
        impatience.start()
        try:
            self._greet()
            for envelope in stream:
                if envelope.topic == _GREETING:
                    impatience.cancel()
                self._handle(envelope)
        finally:
            impatience.cancel()
            self._cancel()

    def _greet(self) -> None:
        request = pb.PublishRequest(topic=_GREETING)
        request.event.type_url = "hedgerow.Listening"
        self._client.call(c.PUBLISH, request)

    def _handle(self, envelope: pb.Envelope) -> None:
        if envelope.topic == _GREETING:
            self._delay_s = MIN_DELAY_S
            self._on_images()
            self._on_listening()
        elif envelope.topic.startswith(_IMAGES):
            self._on_images()
        else:
            exited = pb.TaskExit.FromString(envelope.event.value)
            if exited.id == exited.container_id:
                self._on_exit(exited.container_id, exited.exit_status)

    def _cancel(self) -> None:
        with self._guard:
            if self._stream is not None:
                self._stream.cancel()
