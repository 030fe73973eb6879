"""``protocol/asyncapi.yaml``: what Plantão takes and gives over NATS, in AsyncAPI 3.0, from the types that check it.

Subjects are those of ``protocol.subjects``, requests those of the table that serves them, shapes those of the msgspec
types; beside these, ``tests.documents.contract`` has what no type says: what each request is for, and a sample.
"""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any, Final, Literal

import msgspec
import yaml
from msgspec import Struct, defstruct

from gateway.nats.requests import OF_CHANNEL, OF_CLINIC, RefusalBody, RefusalReason
from protocol import subjects
from protocol.access import RPC_PERMISSION, Permission
from protocol.codec import Encoding
from protocol.commands import SendCommand
from protocol.events import DeadLetter
from protocol.ids import NAME_PATTERN
from protocol.subjects import ClinicVerb, EventKind, Priority, Verb
from tests.documents import headers
from tests.documents.contract import EVENTS, SAMPLES, VERBS

HEAD: Final = "# Generated from the types by `make docs`: what is changed here by hand is lost.\n"
JSON: Final = Encoding.JSON.content_type

_DESCRIPTION: Final = """\
Send commands, events and requests of the WhatsApp channels of many clinics.

Bodies are JSON objects or msgpack maps, told apart by the first byte (`{` is JSON). Replies are in the encoding of the
request (JSON to an empty one), events in that of the setting `events.encoding`. What is described here is JSON; in
msgpack the same fields stand, and bytes are bytes instead of base64. Times are RFC 3339. Unknown fields are ignored.

Each clinic is a NATS account of its own. A service of one clinic logs in there (`plantao key nats issue`), one that
serves all clinics in the account `platform` (`data/node.json`): the subjects are the same. Commands are published with
JetStream, so that a PubAck says they are stored; events are best followed with a durable consumer on the stream that
`x-stream` names. In `platform`, dead letters are in the stream `events` too. Media is in the Object Store `media` of a
clinic's account: that of inbound messages, and what a command names by `media.object`."""
_PARAMETERS: Final = {
    name: {"description": f"Identifier of a {name}: `{NAME_PATTERN.partition('$')[0]}`"}
    for name in ("clinic", "channel")
}
_PRIORITIES: Final = {
    Priority.NORMAL: "Send commands",
    Priority.HIGH: "Send commands that go before all others",
    Priority.BULK: "Send commands that go when nothing else waits",
}
_REFUSAL: Final = RefusalBody(error=RefusalReason(code="not_found", message="there is no channel reception"))


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes a text of several lines as it is to be read."""

    def represent_text(self, text: str) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)


class Done(Struct, frozen=True, kw_only=True):
    """The reply to a request that is done and has nothing more to say."""


def text() -> str:
    """The document as it stands in the file."""
    written: str = yaml.dump(describe(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return HEAD + written


def describe() -> dict[str, Any]:
    """The whole document."""
    described: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Plantão",
            "version": version("plantao"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "tags": [{"name": name} for name in ("commands", "events", "requests")],
        },
        "defaultContentType": JSON,
        "servers": {
            "clinic": _server("The account of one clinic (`clinic-<id>`); the user is a login that was issued for it"),
            "platform": _server("The account `platform`, which imports these subjects of every clinic"),
        },
        "channels": {**_send_channels(), **_event_channels(), **_request_channels(), "replies": _replies()},
        "operations": {**_send_operations(), **_event_operations(), **_request_operations()},
        "components": {
            "messages": _messages(),
            "schemas": schemas(),
            "parameters": _PARAMETERS,
            "securitySchemes": {"login": {"type": "userPassword", "description": "User and password in the URL"}},
        },
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(described))  # no part of it shared: no YAML anchors
    return plain


def schemas() -> dict[str, Any]:
    """Every shape, as JSON Schema, by the name of its type."""
    kinds = [SendCommand, *EVENTS.values(), DeadLetter, RefusalBody, *_bodies(), *map(reply, _answers())]
    _, found = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    return {name: _worded(schema) for name, schema in found.items()}


@cache
def reply(answer: type[Struct]) -> type[Struct]:
    """``answer`` as it stands in a reply, with ``v``."""
    return defstruct(
        f"{answer.__name__}Reply",
        [("v", Literal[1])],
        bases=(answer,),
        namespace={"__doc__": answer.__doc__},
        kw_only=True,
        frozen=True,
    )


def channel_name(priority_kind_or_verb: Priority | EventKind | Verb | ClinicVerb) -> str:
    """By which the document calls a subject."""
    match priority_kind_or_verb:
        case Priority.NORMAL:
            return "send"
        case Priority() as priority:
            return f"send{priority.title()}"
        case EventKind() as kind:
            return f"event{kind.title()}"
        case Verb() as verb:
            return f"rpc{_camel(verb)}"
        case ClinicVerb() as verb:
            return f"clinicRpc{_camel(verb)}"


def _camel(verb: str) -> str:
    return "".join(word.title() for word in verb.split("_"))


def _server(description: str) -> dict[str, Any]:
    security = [{"$ref": "#/components/securitySchemes/login"}]
    return {"host": "127.0.0.1:4222", "protocol": "nats", "description": description, "security": security}


# -- channels: subjects, and what passes there --


def _channel(address: str, title: str, messages: Iterable[str], stream: str | None = None) -> dict[str, Any]:
    channel: dict[str, Any] = {"address": address, "title": title, "messages": _refs(messages)}
    channel["parameters"] = {
        name: {"$ref": f"#/components/parameters/{name}"} for name in re.findall(r"\{(\w+)\}", address)
    }
    return channel if stream is None else {**channel, "x-stream": stream}


def _refs(messages: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in messages}


def _send_channels() -> dict[str, Any]:
    return {
        channel_name(priority): _channel(
            subjects.send("{clinic}", "{channel}", priority), title, ["SendCommand"], subjects.STREAM_SEND
        )
        for priority, title in _PRIORITIES.items()
    }


def _event_channels() -> dict[str, Any]:
    events = {
        channel_name(kind): _channel(
            subjects.event("{clinic}", "{channel}", kind), _first(event), [event.__name__], subjects.STREAM_EVENTS
        )
        for kind, event in EVENTS.items()
    }
    letters = _channel(
        subjects.dead("{clinic}", "{channel}"), _first(DeadLetter), [DeadLetter.__name__], subjects.STREAM_DEAD
    )
    return {**events, "dead": letters}


def _request_channels() -> dict[str, Any]:
    return {
        channel_name(verb): _channel(_request_subject(verb), VERBS[verb], [ask.body.__name__])
        for verb, ask in _asks().items()
    }


def _replies() -> dict[str, Any]:
    names = [reply(answer).__name__ for answer in _answers()]
    return {"address": None, "title": "The reply subject of a request", "messages": _refs([*names, "RefusalBody"])}


def _request_subject(verb: Verb | ClinicVerb) -> str:
    if isinstance(verb, ClinicVerb):
        return subjects.clinic_rpc("{clinic}", verb)
    return subjects.rpc("{clinic}", "{channel}", verb)


# -- operations: what Plantão does there --


def _operation(action: str, channel: str, messages: Iterable[str], summary: str, tag: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "tags": [{"name": tag}],
        "messages": _of_channel(channel, messages),
    }


def _of_channel(channel: str, messages: Iterable[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]


def _send_operations() -> dict[str, Any]:
    return {
        channel_name(priority): _operation("receive", channel_name(priority), ["SendCommand"], title, "commands")
        for priority, title in _PRIORITIES.items()
    }


def _event_operations() -> dict[str, Any]:
    names = {channel_name(kind): event for kind, event in EVENTS.items()} | {"dead": DeadLetter}
    return {name: _operation("send", name, [event.__name__], _first(event), "events") for name, event in names.items()}


def _request_operations() -> dict[str, Any]:
    operations = {}
    for verb, ask in _asks().items():
        name = channel_name(verb)
        answers = [reply(answer).__name__ for answer in ask.answers or (Done,)]
        operation = _operation("receive", name, [ask.body.__name__], VERBS[verb], "requests")
        operation["description"] = _needs(RPC_PERMISSION[verb])
        operation["bindings"] = {"nats": {"queue": subjects.SERVICE}}
        operation["reply"] = {
            "channel": {"$ref": "#/channels/replies"},
            "messages": _of_channel("replies", [*answers, "RefusalBody"]),
        }
        operations[name] = operation
    return operations


def _needs(permission: Permission) -> str:
    """Which logins may ask."""
    return "Any login may ask." if permission is Permission.VIEW else "Needs a login of the kind `service`."


# -- messages and schemas --


def _messages() -> dict[str, Any]:
    published: list[type[Struct]] = [*EVENTS.values(), DeadLetter]
    command = _message(SendCommand, _sample(SendCommand), headers.COMMANDED)
    stored = {kind.__name__: _message(kind, _sample(kind), headers.STORED) for kind in published}
    bodies = {kind.__name__: _message(kind, _sample(kind), headers.ASKED) for kind in _bodies()}
    replies = {
        reply(answer).__name__: _message(reply(answer), {"v": 1, **_sample(answer)}, headers.REPLY)
        for answer in _answers()
    }
    refusal = _message(RefusalBody, _builtins(_REFUSAL), headers.REFUSED)
    return {"SendCommand": command, **stored, **bodies, **replies, "RefusalBody": refusal}


def _sample(kind: type[Struct]) -> dict[str, Any]:
    return _builtins(Done() if kind is Done else SAMPLES[kind])


def _message(kind: type[Struct], sample: Mapping[str, Any], its_headers: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": kind.__name__,
        "title": _first(kind),
        "contentType": JSON,
        "headers": its_headers,
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
        "examples": [{"payload": sample}],
    }


def _builtins(sample: Struct) -> dict[str, Any]:
    """As it is in JSON, without what is null and may be left out: most fields of a sample would be."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(sample))
    needed = {field.encode_name for field in msgspec.structs.fields(sample) if field.required}
    return {name: value for name, value in plain.items() if value is not None or name in needed}


def _asks() -> dict[Verb | ClinicVerb, Any]:
    return dict([*OF_CHANNEL.items(), *OF_CLINIC.items()])


def _bodies() -> list[type[Struct]]:
    return list(dict.fromkeys(ask.body for ask in _asks().values()))


def _answers() -> list[type[Struct]]:
    return list(dict.fromkeys(answer for ask in _asks().values() for answer in ask.answers or (Done,)))


def _first(kind: type[Struct]) -> str:
    """The first sentence of what a type says of itself."""
    text = _plain_words(kind.__doc__ or "")
    return re.split(r"(?<=\w)[.:;] |\.$", text.partition("\n\n")[0].replace("\n", " "))[0]


def _worded(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its docstring as words for the document."""
    return schema | ({"description": _plain_words(schema["description"])} if "description" in schema else {})


def _plain_words(text: str) -> str:
    """A docstring as Markdown."""
    paragraphs: Sequence[str] = text.replace("``", "`").split("\n\n")
    return "\n\n".join(textwrap.fill(paragraph, 100, break_on_hyphens=False) for paragraph in paragraphs)
