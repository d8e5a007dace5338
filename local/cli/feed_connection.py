"""A client's connection to the feed: rate limiting and closing."""

import asyncio
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.frames import CloseCode, Frame
from websockets.protocol import State

from trading.streaming.protocol import MessageError

MESSAGE_LIMIT = 16 * 1024  # bytes
MESSAGES_PER_SECOND = 20
# How long a dropped client has to read the reason.
CLOSE_SECONDS = 3.0
# One read may contain thousands of pings; a piece of this size is processed in about ten milliseconds.
PIECE_BYTES = 4 * 1024
GOODBYE_BYTES = 256  # more than the size of a close frame


class FeedConnection(ServerConnection):
    """A connection that is closed if its client sends more than 20 frames in a second.

    Pings, pongs and fragments count like messages, because each takes time from other clients.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._second = self.loop.time()
        self._frames = 0
        self._is_refused = False
        self._dropping: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Process data in pieces, and nothing after the limit is exceeded."""
        for start in range(0, len(data), PIECE_BYTES):
            if self._is_refused:
                if len(data) > GOODBYE_BYTES:  # it keeps sending
                    self.transport.pause_reading()
                return
            if self.request is not None and self.state is State.CONNECTING:
                # It sends before the handshake is answered; all of that would be read at once afterwards.
                self.transport.abort()
                return
            super().data_received(data[start : start + PIECE_BYTES])

    def process_event(self, event: Any) -> None:
        """Count a frame, and process it unless the limit is exceeded."""
        if isinstance(event, Frame):
            if self.state is not State.OPEN:
                return
            now = self.loop.time()
            if now - self._second >= 1:
                self._second, self._frames = now, 0
            self._frames += 1
            if self._frames > MESSAGES_PER_SECOND:
                self._refuse(f"more than {MESSAGES_PER_SECOND} messages in a second")
                return
        super().process_event(event)

    def drop(self, code: CloseCode, reason: str) -> asyncio.Task[None]:
        """Start to close the connection; it is aborted if the client does not read."""
        if self._dropping is None:
            self._dropping = self.loop.create_task(self._drop(code, reason))
        return self._dropping

    async def _drop(self, code: CloseCode, reason: str) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.close(code, reason)
        except TimeoutError:
            self.transport.abort()

    def _refuse(self, reason: str) -> None:
        broadcast([self], MessageError("too_many_messages", reason).write())
        # Unlike close(), this reads no further data.
        self.protocol.fail(CloseCode.POLICY_VIOLATION, reason)
        self.send_data()
        self._is_refused = True
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)
