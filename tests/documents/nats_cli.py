"""The `nats` command, as far as the documents use it: so that their lines can be run where it cannot be installed.

A stand-in for the client alone, with the flags of natscli 0.5 and no others: it speaks to whatever server NATS_URL
names. ``link`` puts it on a ``PATH``.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import nats
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tests.flushing import settle

TIMEOUT_S: Final = 10.0


def link(directory: Path) -> None:
    """Make a command ``nats`` in ``directory``."""
    script = directory / "nats"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={Path(__file__).parents[2]} exec {sys.executable} -m {__name__} "$@"\n')
    script.chmod(0o755)


async def pub(client: Client, given: argparse.Namespace) -> None:
    headers: dict[str, str] = dict(header.split(":", 1) for header in given.header)
    if given.jetstream:
        stored = await client.jetstream().publish(given.subject, given.body.encode(), TIMEOUT_S, headers=headers)
        print(f"Stored in Stream: {stored.stream} Sequence: {stored.seq}")
        return
    await client.publish(given.subject, given.body.encode(), headers=headers)
    await settle(client)
    print(f"Published {len(given.body.encode())} bytes to {given.subject!r}")


async def req(client: Client, given: argparse.Namespace) -> None:
    reply = await client.request(given.subject, given.body.encode(), timeout=TIMEOUT_S)
    print(reply.data.decode())


async def sub(client: Client, given: argparse.Namespace) -> None:
    subscription = await client.subscribe(given.subject)
    await settle(client)
    print(f"Subscribing on {given.subject}", flush=True)
    count = 0
    while not given.count or count < given.count:
        message = await subscription.next_msg(timeout=None)
        count += 1
        print(f"[#{count}] Received on {message.subject!r}\n{message.data.decode(errors='replace')}", flush=True)


async def consumer_add(client: Client, given: argparse.Namespace) -> None:
    if not (given.pull and given.defaults):
        raise SystemExit("without --pull and --defaults it would ask")
    config = ConsumerConfig(
        durable_name=given.name,
        filter_subject=given.filter,
        deliver_policy=DeliverPolicy(given.deliver),
        ack_policy=AckPolicy(given.ack),
    )
    await client.jetstream().add_consumer(given.stream, config)
    print(f"Information for Consumer {given.stream} > {given.name}")


async def consumer_next(client: Client, given: argparse.Namespace) -> None:
    consumer = await client.jetstream().pull_subscribe_bind(given.name, given.stream)
    for message in await consumer.fetch(given.count, timeout=TIMEOUT_S):
        print(f"subj: {message.subject}\n{message.data.decode(errors='replace')}")
        if given.ack:
            await message.ack_sync(timeout=TIMEOUT_S)


def parser() -> argparse.ArgumentParser:
    """The commands and flags that there are."""
    whole = argparse.ArgumentParser(prog="nats", allow_abbrev=False)
    whole.add_argument("--inbox-prefix", default="_INBOX")
    commands = whole.add_subparsers(required=True)
    publish = _command(commands, "pub", pub)
    publish.add_argument("subject")
    publish.add_argument("body")
    publish.add_argument("-H", "--header", action="append", default=[])
    publish.add_argument("-J", "--jetstream", action="store_true")
    request = _command(commands, "req", req)
    request.add_argument("subject")
    request.add_argument("body")
    follow = _command(commands, "sub", sub)
    follow.add_argument("subject")
    follow.add_argument("--count", type=int, default=0)
    consumer = commands.add_parser("consumer", allow_abbrev=False).add_subparsers(required=True)
    add = _command(consumer, "add", consumer_add)
    add.add_argument("stream")
    add.add_argument("name")
    for flag in ("--filter", "--deliver", "--ack"):
        add.add_argument(flag, required=True)
    for flag in ("--pull", "--defaults"):
        add.add_argument(flag, action="store_true")
    following = _command(consumer, "next", consumer_next)
    following.add_argument("stream")
    following.add_argument("name")
    following.add_argument("--ack", action="store_true")
    following.add_argument("--count", type=int, default=1)
    return whole


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    do: Callable[[Client, argparse.Namespace], Awaitable[None]],
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, allow_abbrev=False)
    made.set_defaults(do=do)
    return made


async def main(given: argparse.Namespace) -> None:
    """Connect to NATS_URL, and do what is asked."""
    client = await nats.connect(os.environ["NATS_URL"], inbox_prefix=given.inbox_prefix.encode())
    try:
        await given.do(client, given)
    finally:
        await client.close()


if __name__ == "__main__":
    try:
        asyncio.run(main(parser().parse_args()))
    except KeyboardInterrupt:
        sys.exit(130)
