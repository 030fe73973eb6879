"""``/api/v1/rotate``: keys exchanged, as jobs."""

from collections.abc import Sequence
from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from gateway.http.requests import answer, read_as
from gateway.http.routes import API, CALLER, Route
from protocol.access import Permission
from protocol.errors import ForbiddenError, InvalidInputError, NotFoundError
from protocol.ids import ClinicId
from protocol.jobs import JobView
from protocol.rotation import Rotations

CLINIC: Final = "clinic"


class NewRotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``what``: ``master`` (the node's master key) or ``clinic`` (the data key of ``clinic``, which is given then)."""

    what: Annotated[str, Meta(pattern="^(master|clinic)$(?!\n)")]
    clinic: ClinicId | None = None


class RotateRoutes:
    """Handlers; each raises what ``Rotations`` raises."""

    def __init__(self, rotations: Rotations) -> None:
        self._rotations = rotations

    async def rotate(self, request: web.Request) -> web.Response:
        """Begin: 202 with the job. A clinic's key is its admin's to exchange, the master key the node's."""
        wanted, caller = await read_as(request, NewRotation), request[CALLER]
        if (wanted.what == CLINIC) != (wanted.clinic is not None):
            raise InvalidInputError("clinic", "the clinic whose key it is, and none with the master key")
        if not caller.sees(wanted.clinic):
            if wanted.clinic is None:
                raise ForbiddenError("the master key is the node's: that takes an admin's key for all clinics")
            raise NotFoundError(f"clinic {wanted.clinic}")
        if wanted.clinic is None:
            view = await self._rotations.rotate_master(by=caller)
        else:
            view = await self._rotations.rotate_clinic(wanted.clinic, by=caller)
        return answer(view, status=202, location=f"{API}/jobs/{view.id}")


def of_rotations(rotations: RotateRoutes) -> Sequence[Route]:
    """Their routes."""
    return (
        Route(
            method="POST",
            path=f"{API}/rotate",
            handler=rotations.rotate,
            permission=Permission.ADMINISTER,
            filtered=True,
            action="keys.rotate",
            body=NewRotation,
            answer=JobView,
            status=202,
        ),
    )
