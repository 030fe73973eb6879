"""One attempt at sending a command: from the ledger's mark to the port's answer. Runs on the loop."""

from actors.channel.context import Context
from actors.channel.gate import CutOff
from protocol.bus import ClinicBus
from protocol.codes import ErrorCode
from protocol.commands import Media, SendCommand
from protocol.errors import (
    BusUnavailableError,
    CallTimeoutError,
    InvalidInputError,
    NotFoundError,
    PortGoneError,
    StoreUnavailableError,
)
from protocol.ids import Address
from protocol.interfaces import Port
from protocol.ledger import Accepted, Ledger
from protocol.port import Failed, Quote, SendImage, SendReaction, SendRequest, SendText, Sent

_DEFAULT_MIME = "image/jpeg"


class NotSendableError(Exception):
    """The command can't be made into a request; holds the answer in the port's stead."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.answer = Failed(code=code.value, message=message)


async def mark(ledger: Ledger, channel: str, batch: list[Accepted]) -> None:
    """Record that these are about to be handed to the port: after a crash they are uncertain."""
    await ledger.begin(channel, [accepted.command.id for accepted in batch])


async def attempt(
    context: Context, port: Port, accepted: Accepted, *, deadline: float, media_limit: int
) -> Sent | Failed | CutOff:
    """Send one command; raises nothing but faults of ours. ``deadline`` in seconds, for the call into the port."""
    try:
        request = await _request(context, accepted.command, media_limit)
        with context.flights.flying():
            answer = await port.call(request, deadline=deadline)
            if isinstance(answer, Sent):
                context.flights.landed(answer.wa_id, accepted)
    except NotSendableError as refused:
        return refused.answer
    except PortGoneError as error:
        if error.reached:
            return CutOff(Failed(code=ErrorCode.OUTCOME_UNKNOWN.value, message=str(error)))
        return Failed(code=ErrorCode.NOT_CONNECTED.value, message=str(error))
    except CallTimeoutError as error:
        return Failed(code=ErrorCode.OUTCOME_UNKNOWN.value, message=str(error))
    except BusUnavailableError as error:
        return Failed(code=ErrorCode.MEDIA_UNAVAILABLE.value, message=str(error))
    except StoreUnavailableError as error:
        return Failed(code=ErrorCode.STORE_FAILED.value, message=str(error))
    if isinstance(answer, Sent | Failed):
        return answer
    return Failed(code=ErrorCode.INTERNAL.value, message=f"the port answered {type(answer).__name__}")


async def _request(context: Context, command: SendCommand, media_limit: int) -> SendRequest:
    to = str(command.address)
    match command.type:
        case "text":
            return SendText(to=to, text=command.text or "", quote=_quote(command))
        case "image":
            assert command.media is not None
            return SendImage(
                to=to,
                data=await _media(context.bus, command.media, media_limit),
                mime=command.media.mime or _DEFAULT_MIME,
                caption=command.media.caption,
                quote=_quote(command),
            )
        case "reaction":
            assert command.target is not None
            ours = await context.flights.senders(context.ledger, context.channel, [command.target])
            return SendReaction(to=to, target=command.target, from_me=command.target in ours, emoji=command.text or "")
        case _:
            raise NotSendableError(ErrorCode.UNSUPPORTED, f"not supported: type {command.type}")


def _quote(command: SendCommand) -> Quote | None:
    if command.reply_to is None:
        return None
    author = Address.parse(command.reply_to.from_) if command.reply_to.from_ else command.address
    return Quote(wa_id=command.reply_to.id, author=str(author))


async def _media(bus: ClinicBus, media: Media, limit: int) -> bytes:
    if media.data is not None:
        return media.data
    assert media.object is not None
    try:
        return await bus.get_media(media.object, limit=limit)
    except (NotFoundError, InvalidInputError) as error:
        raise NotSendableError(ErrorCode.MEDIA_INVALID, f"media.object: {error}") from error
