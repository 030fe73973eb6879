"""What each kind of login may do inside its account, as lists of what is allowed. Pure.

============  ==========================================================================================================
``service``   all of the below, and every request
``sender``    publish send commands, store media, and the requests that only look (``protocol.access``)
``listener``  follow ``events`` and ``dead`` by consumers of its own, fetch media, and the requests that only look
============  ==========================================================================================================

Each login receives its replies on subjects of its own: clients are told to begin them with ``inbox(user)``. Only the
login ``service``, which every account has, takes them on the usual ``_INBOX.>``, so that a client that knows of nothing
works with it; nobody else's replies go there.

These lists keep a service from mistakes and from reading what is not for it. They are no wall against a hostile one
inside its own account: NATS asks nobody whether a login may publish to the reply subject that it names, nor to the
subject to which its consumer is to deliver, so that the server itself can be made to publish there. Who has a login of
an account must be trusted with that account; the wall is between accounts, where no subject leads across but those that
are exported.
"""

from dataclasses import dataclass
from typing import Final

from gateway.nats.accounts import Credential, Issued, Kind
from protocol import subjects
from protocol.access import RPC_PERMISSION, Permission
from protocol.subjects import ClinicVerb

USUAL_INBOX: Final = "_INBOX"
_API: Final = "$JS.API"
_MEDIA: Final = f"OBJ_{subjects.MEDIA_BUCKET}"
_PERMISSION: Final = {
    Kind.SERVICE: Permission.OPERATE,
    Kind.SENDER: Permission.VIEW,
    Kind.LISTENER: Permission.VIEW,
}
_QUEUES: Final = tuple(f"{_API}.STREAM.INFO.{stream}" for stream in (subjects.STREAM_SEND, subjects.STREAM_LATER))
"""How much waits."""
_SENDS: Final = frozenset({Kind.SERVICE, Kind.SENDER})
_LISTENS: Final = frozenset({Kind.SERVICE, Kind.LISTENER})


@dataclass(frozen=True, slots=True)
class Allowed:
    """Subjects; anything else is refused."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def inbox(login: Issued | Credential) -> str:
    """What the subjects begin with on which a login takes its replies (the client's ``inbox_prefix``)."""
    if isinstance(login, Issued):
        return f"{USUAL_INBOX}_{login.credential.user}"
    return USUAL_INBOX


def kind_of(login: Issued | Credential) -> Kind:
    """The login that every account has is a ``service``."""
    return login.kind if isinstance(login, Issued) else Kind.SERVICE


def allowed(account: str, login: Issued | Credential) -> Allowed:
    """What ``login``, which is not Plantão's own, may do in ``account``."""
    kind = kind_of(login)
    everywhere = account == subjects.ACCOUNT_PLATFORM
    clinic = "*" if everywhere else account.removeprefix(subjects.account(""))
    publish, subscribe = [*_requests(clinic, kind), f"{_API}.INFO", f"{_API}.STREAM.NAMES"], [f"{inbox(login)}.>"]
    # ``platform`` has every clinic's events and dead letters in one stream, and no media.
    streams = [subjects.STREAM_EVENTS] if everywhere else [subjects.STREAM_EVENTS, subjects.STREAM_DEAD]
    if kind in _SENDS:
        root = subjects.channel_root(clinic, "*")
        publish += [f"{root}.send", f"{root}.send.*", *_QUEUES]
    if kind in _LISTENS:
        root = subjects.channel_root(clinic, "*")
        subscribe += [f"{root}.event.>", f"{root}.dead"]
        for stream in streams:
            publish += _consuming(stream)
    if not everywhere:
        publish += _media(kind)
    if not everywhere and kind is Kind.SERVICE:
        publish.append("$SRV.>")
    return Allowed(tuple(dict.fromkeys(publish)), tuple(subscribe))


def _requests(clinic: str, kind: Kind) -> list[str]:
    most = _PERMISSION[kind]
    if most >= max(RPC_PERMISSION.values()):
        # So that who asks for what there is not is told so.
        return [f"{subjects.channel_root(clinic, '*')}.rpc.*", f"clinic.{clinic}.rpc.*"]
    return [
        subjects.clinic_rpc(clinic, verb) if isinstance(verb, ClinicVerb) else subjects.rpc(clinic, "*", verb)
        for verb, needed in RPC_PERMISSION.items()
        if needed <= most
    ]


def _consuming(stream: str) -> list[str]:
    """Also by the older requests, which name no consumer. A token of a subject is matched whole or not at all, so that
    names of consumers cannot be kept apart by what they begin with."""
    consumer = f"{_API}.CONSUMER"
    return [
        f"{_API}.STREAM.LIST",
        f"{_API}.STREAM.INFO.{stream}",
        f"{_API}.STREAM.MSG.GET.{stream}",
        f"{consumer}.CREATE.{stream}",
        f"{consumer}.CREATE.{stream}.>",
        f"{consumer}.DURABLE.CREATE.{stream}.*",
        f"{consumer}.INFO.{stream}.*",
        f"{consumer}.MSG.NEXT.{stream}.*",
        f"{consumer}.DELETE.{stream}.*",
        f"{consumer}.NAMES.{stream}",
        f"{consumer}.LIST.{stream}",
        f"$JS.ACK.{stream}.>",
        f"$JS.FC.{stream}.>",
    ]


def _media(kind: Kind) -> list[str]:
    """What clients of an Object Store do: look at it before they store, and purge the chunks that they replace."""
    looking = [
        f"{_API}.STREAM.INFO.{_MEDIA}",
        f"{_API}.STREAM.MSG.GET.{_MEDIA}",
        f"{_API}.DIRECT.GET.{_MEDIA}",
        f"{_API}.DIRECT.GET.{_MEDIA}.>",
    ]
    storing = [f"$O.{subjects.MEDIA_BUCKET}.C.>", f"$O.{subjects.MEDIA_BUCKET}.M.>", f"{_API}.STREAM.PURGE.{_MEDIA}"]
    fetching = _consuming(_MEDIA)
    return [
        *looking,
        *(storing if kind in _SENDS else []),
        *(fetching if kind in _LISTENS else []),
    ]
