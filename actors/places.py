"""Under which name each actor of the tree is found in ``Names``."""

from typing import Final

REGISTRAR: Final = "registrar"
CLINICS: Final = "clinics"


def account_name(clinic: str) -> str:
    """The clinic's account."""
    return f"clinic/{clinic}/account"


def reconciler_name(clinic: str) -> str:
    """The clinic's reconciler."""
    return f"clinic/{clinic}/reconciler"


def channels_name(clinic: str) -> str:
    """The supervisor of the clinic's channels."""
    return f"clinic/{clinic}/channels"


def channel_name(clinic: str, channel: str) -> str:
    """A channel."""
    return f"clinic/{clinic}/channel/{channel}"
