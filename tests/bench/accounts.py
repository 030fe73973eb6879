"""Who takes part: the clinics' numbers, the raw client's, and the people they write with."""

from dataclasses import dataclass
from typing import Final

CLINICS: Final = 10

_TEXT: Final = "Sua consulta é amanhã às 10 h. Responda 1 para confirmar ou 2 para remarcar, por favor. "


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of the node under measurement, and its number."""

    clinic: str
    id: str
    phone: str


def channel(index: int) -> Channel:
    """The ``index``-th channel; the first ten are in clinics of their own."""
    return Channel(f"clinic-{index % CLINICS}", f"desk-{index // CLINICS}", f"55119{index:08d}")


def raw_phone(index: int) -> str:
    """The number of the ``index``-th raw client."""
    return f"55219{index:08d}"


def patients(count: int) -> list[str]:
    """People who are written to, and write."""
    return [f"55318{index:08d}" for index in range(count)]


def text(tag: str, index: int) -> str:
    """The text of a message, of the length of a reminder; ``tag`` tells the runs apart."""
    return f"{tag} {index:06d} {_TEXT}"
