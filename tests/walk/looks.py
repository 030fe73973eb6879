"""As what the page is seen."""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """``name`` is in the names of screenshots. ``phone``: narrow, and touched instead of clicked."""

    name: str
    language: str
    phone: bool
    dark: bool

    def options(self) -> dict[str, Any]:
        """For a browser context."""
        size = {"width": 390, "height": 844} if self.phone else {"width": 1280, "height": 860}
        return {
            "viewport": size,
            "locale": self.language,
            "timezone_id": "America/Sao_Paulo",
            "color_scheme": "dark" if self.dark else "light",
            "has_touch": self.phone,
            "is_mobile": self.phone,
            "device_scale_factor": 2 if self.phone else 1,
            "reduced_motion": "reduce",
        }


DESKTOP: Final = Look(name="desktop-en", language="en-GB", phone=False, dark=False)
PHONE: Final = Look(name="phone-pt", language="pt-BR", phone=True, dark=False)
LOOKS: Final = (
    DESKTOP,
    PHONE,
    Look(name="desktop-pt-dark", language="pt-BR", phone=False, dark=True),
    Look(name="phone-en-dark", language="en-US", phone=True, dark=True),
)
