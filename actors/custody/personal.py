"""What the people whose data these are have a right to, as it is asked for. On the loop's thread."""

from dataclasses import dataclass

from actors.custody.erasing import ErasingClinics
from actors.custody.erasing_people import ErasingPeople
from actors.custody.exporting import Exporting
from protocol.access import Caller
from protocol.jobs import JobView


@dataclass(frozen=True, slots=True)
class PersonalDesk:
    """Implements ``protocol.custody.PersonalData``."""

    clinics: ErasingClinics
    people: ErasingPeople
    exporting: Exporting

    async def export(self, clinic: str, contact: str | None, *, by: Caller) -> JobView:
        """See ``PersonalData``."""
        return await self.exporting.export(clinic, contact, by=by)

    async def erase_clinic(self, clinic: str, *, by: Caller) -> JobView:
        """See ``PersonalData``."""
        return await self.clinics.erase(clinic, by=by)

    async def erase_contact(self, clinic: str, contact: str, *, by: Caller) -> JobView:
        """See ``PersonalData``."""
        return await self.people.erase(clinic, contact, by=by)
