"""A web whose media are in a dictionary."""

from protocol.errors import InvalidInputError, UnavailableError
from protocol.media import WebMedia


class MemoryWeb:
    """``media`` by address; ``asked``: (clinic, address, kind, mime, limit). Fails while it is ``away``."""

    def __init__(self) -> None:
        self.media: dict[str, WebMedia] = {}
        self.asked: list[tuple[str, str, str, str | None, int]] = []
        self.away = False

    async def fetch(self, clinic: str, url: str, *, kind: str, mime: str | None, limit: int) -> WebMedia:
        """As ``MediaSource`` says."""
        self.asked.append((clinic, url, kind, mime, limit))
        if self.away:
            raise UnavailableError("media.url: its server answered 503")
        if url not in self.media:
            raise InvalidInputError("media.url", "something that is there")
        return self.media[url]
