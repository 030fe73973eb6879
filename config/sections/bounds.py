"""What values settings may have. ``description``: the same for people, where that is not plain from the bounds."""

from typing import Annotated, Final

from msgspec import Meta

SECONDS: Final = {"unit": "seconds"}

Seconds = Annotated[float, Meta(ge=0, le=86_400, extra=SECONDS)]
Pause = Annotated[float, Meta(gt=0, le=86_400, extra=SECONDS)]
Deadline = Annotated[float, Meta(ge=1, le=600, extra=SECONDS)]
Days = Annotated[float, Meta(ge=1, le=3650, extra={"unit": "days"})]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
PerMinute = Annotated[float, Meta(gt=0, le=10_000)]
PerDay = Annotated[int, Meta(ge=0, le=1_000_000)]
Burst = Annotated[int, Meta(ge=1, le=1000)]
WarmUp = Annotated[list[PerDay], Meta(max_length=60)]
Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)", description="time of day, HH:MM")]
TypingSpeed = Annotated[float, Meta(ge=0, le=1000)]
Bytes = Annotated[int, Meta(ge=1024, le=1 << 30)]
HostName = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$(?!\n)", description="host name")]
Origin = Annotated[
    str,
    Meta(
        pattern=r"^https?://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[1-9][0-9]{0,4})?$(?!\n)",
        description="scheme, host and port",
    ),
]
Requests = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Word = Annotated[str, Meta(min_length=1, max_length=50)]
