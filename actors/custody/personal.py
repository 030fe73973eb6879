"""What the people whose data these are have a right to, as it is asked for. On the loop's thread."""

from dataclasses import dataclass

from actors.custody.erasing import ErasingClinics
from protocol.access import Caller
from protocol.jobs import JobView


@dataclass(frozen=True, slots=True)
class PersonalDesk:
    """Implements ``protocol.custody.PersonalData``."""

    clinics: ErasingClinics

    async def erase_clinic(self, clinic: str, *, by: Caller) -> JobView:
        """See ``PersonalData``."""
        return await self.clinics.erase(clinic, by=by)
