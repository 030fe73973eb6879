"""Waiting until a server has what a plain client of nats-py sent."""

from nats.aio.client import Client


async def settle(client: Client) -> None:
    """Return when the server has all that ``client`` sent, and ``client`` what the server said of it.

    nats-py's ``flush`` sends its question ahead of what it has not written yet; a second one comes after that.
    """
    await client.flush()
    await client.flush()
