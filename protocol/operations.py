"""What operators and services may ask of the running node."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from protocol.channel import ChannelSnapshot, ClinicSnapshot, PairingCode, QrCode
from protocol.port import Presence
from protocol.records import ConsentKind, ConsentList, ConsentSource, ConsentView
from protocol.subjects import Priority
from protocol.views import (
    ClinicStats,
    CommandPage,
    CommandState,
    CommandView,
    NumberChecks,
)

MOST_PHONES: Final = 50
"""Numbers that may be checked together."""
MOST_WA_IDS: Final = 100
"""Messages that may be marked as read together."""
LONGEST_WA_ID: Final = 256
"""Characters of a message's id; WhatsApp's own have some 32."""


class Operations(Protocol):
    """What operators and services may ask of the running node; HTTP, rpc and the command line all go through it.

    Every method may raise UnavailableError (a part did not answer in time) and NotFoundError.
    """

    async def clinics(self) -> Sequence[ClinicSnapshot]:
        """All, by id."""

    async def clinic(self, clinic: str) -> ClinicSnapshot:
        """One."""

    async def add_clinic(self, id: str, name: str, timezone: str | None = None) -> ClinicSnapshot:
        """Returns once it is registered; it starts by itself. Added again in the same way, it is returned as it is.
        Raises InvalidInputError, AlreadyExistsError (there is another one of this id)."""

    async def configure_clinic(
        self, clinic: str, name: str | None = None, timezone: str | None = None
    ) -> ClinicSnapshot:
        """Call it ``name`` and put it in ``timezone``, by which its channels go at once; None leaves either as it is.
        Raises InvalidInputError."""

    async def remove_clinic(self, clinic: str) -> None:
        """Stop it and its channels for good; its data stay until they are erased."""

    async def release_clinic(self, clinic: str) -> ClinicSnapshot:
        """Let a quarantined clinic out and start it. Raises ConflictError if it is not quarantined, or fails again."""

    async def channels(self, clinic: str | None = None) -> Sequence[ChannelSnapshot]:
        """All, or a clinic's; by clinic and id."""

    async def channel(self, clinic: str, channel: str) -> ChannelSnapshot:
        """One."""

    async def add_channel(self, clinic: str, id: str, name: str | None = None) -> ChannelSnapshot:
        """As ``add_clinic``; raises besides ConflictError if the clinic has as many as it may."""

    async def remove_channel(self, clinic: str, channel: str) -> None:
        """Stop it for good and delete its session store."""

    async def connect(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Open a port now; on a live channel, replace it; lets a quarantined one out."""

    async def disconnect(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Close the port until ``connect``, also over a restart of the node."""

    async def suspend(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Close the port until ``resume`` or ``connect``, also over a restart of the node; commands wait meanwhile."""

    async def resume(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Open a port if it is suspended. Raises ConflictError if it is at rest for another reason."""

    async def logout(self, clinic: str, channel: str) -> ChannelSnapshot:
        """Unlink the device; or, of a channel that is suspended or in error, forget the session, so that it can be
        paired with any number. Raises ConflictError if it is none of these, or if its port has not ended yet."""

    async def pair(self, clinic: str, channel: str, phone: str | None) -> PairingCode | QrCode:
        """Begin pairing: by QR code, or by a code typed on ``phone``. Raises ConflictError if it is paired already."""

    async def qr(self, clinic: str, channel: str) -> QrCode:
        """The QR code to show now. Raises NotFoundError if there is none."""

    async def send(self, clinic: str, channel: str, priority: Priority, body: bytes, headers: Mapping[str, str]) -> str:
        """Put a send command on the channel's queue and return its id. ``headers`` go with it to all that it causes
        (``protocol.subjects``). Raises InvalidInputError."""

    async def configure(
        self, clinic: str, channel: str, config: Mapping[str, Any] | None, name: str | None = None
    ) -> ChannelSnapshot:
        """Put ``config`` in place of the channel's own settings, which take effect at once, and call it ``name``; None
        leaves either as it is.

        Raises:
            InvalidInputError: names the setting.
        """

    # -- commands --

    async def commands(
        self, clinic: str, channel: str, *, state: CommandState | None, cursor: str | None, limit: int
    ) -> CommandPage:
        """Commands of a channel, newest first; those that failed are its dead letters. Raises InvalidInputError."""

    async def command(self, clinic: str, channel: str, id: str, *, wait_s: float = 0.0) -> CommandView:
        """One, with its history. With ``wait_s`` once its run has ended, or as it is after so many seconds; one that
        was just sent need not be known before."""

    async def cancel(self, clinic: str, channel: str, id: str) -> CommandView:
        """End a command that waits or is scheduled: it fails, ``cancelled``. Raises ConflictError if WhatsApp has it
        already, or it is final."""

    async def release(self, clinic: str, channel: str, id: str) -> CommandView:
        """Send a held command in a new run. Raises ConflictError if it is not held."""

    async def replay(self, clinic: str, channel: str, id: str) -> CommandView:
        """Send a failed command in a new run. Raises ConflictError if it has not failed."""

    async def discard(self, clinic: str, channel: str, id: str) -> CommandView:
        """Put a failed or held command away. Raises ConflictError if it is neither."""

    # -- consent --

    async def consents(
        self, clinic: str, channel: str, *, contact: str | None, cursor: str | None, limit: int
    ) -> ConsentList:
        """The channel's register, newest first, of all or of one person (a number or JID). Raises InvalidInputError."""

    async def record_consent(
        self, clinic: str, channel: str, contact: str, status: ConsentKind, source: ConsentSource, note: str
    ) -> ConsentView:
        """Enter it in the register. Who opted out, or withdrew, is sent nothing from that moment on, until they opt in.

        Raises:
            InvalidInputError: it is no person's number or JID, or the note is too long.
        """

    # -- WhatsApp --

    async def check(self, clinic: str, channel: str, phones: Sequence[str]) -> NumberChecks:
        """Which of at most 50 numbers are on WhatsApp. Raises InvalidInputError, ConflictError (not connected)."""

    async def mark_read(self, clinic: str, channel: str, chat: str, wa_ids: Sequence[str], sender: str | None) -> None:
        """Tell the chat that we have read these messages of ``sender`` (None: the chat's person).

        Raises InvalidInputError, ConflictError (not connected)."""

    async def presence(self, clinic: str, channel: str, presence: Presence, chat: str | None) -> None:
        """Show the account as available or not, or as typing in ``chat``. Raises as ``mark_read``."""

    # -- the whole --

    async def stats(self, clinic: str) -> ClinicStats:
        """What the clinic's channels hold. Raises UnavailableError if its database is away."""
