"""The table of foreign errors is total."""

import gc
import inspect
import weakref

import nats.errors
import nats.js.errors
import pytest

from gateway.nats.translate import TABLE, translated, translating
from protocol.errors import BusUnavailableError, ConflictError, InvalidInputError, PlantaoError


def of_the_library() -> list[type[BaseException]]:
    """Every exception that the client library defines."""
    return [
        kind
        for module in (nats.errors, nats.js.errors)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == module.__name__
    ]


@pytest.mark.parametrize("kind", of_the_library(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_error_of_the_client_library_has_a_translation(kind: type[BaseException]) -> None:
    error = kind.__new__(kind)
    found = next(TABLE[ancestor] for ancestor in kind.__mro__ if ancestor in TABLE)
    permanent = ("BadSubject", "BadHeader", "MaxPayload", "InvalidKey", "InvalidBucketName", "InvalidObjectName")
    assert found is (InvalidInputError if kind.__name__.removesuffix("Error") in permanent else BusUnavailableError)
    assert isinstance(error, kind)


@pytest.mark.parametrize(
    "error", [nats.errors.TimeoutError(), ConnectionRefusedError("no"), TimeoutError(), nats.errors.Error("x")]
)
def test_what_is_away_or_slow_is_unavailable_and_says_at_what(error: Exception) -> None:
    with pytest.raises(BusUnavailableError, match=r"storing media: .") as caught, translating("storing media"):
        raise error
    assert caught.value.__cause__ is error


def test_our_own_errors_and_mistakes_pass() -> None:
    for error in (ConflictError("x"), ZeroDivisionError()):
        with pytest.raises(type(error)), translating("anything"):
            raise error
    assert translated(ZeroDivisionError(), "anything") is None


def test_the_table_knows_only_plantaos_errors() -> None:
    assert all(issubclass(kind, PlantaoError) for kind in TABLE.values())


def test_what_is_raised_keeps_nothing_once_it_is_dealt_with() -> None:
    def fails() -> "weakref.ref[BaseException]":
        try:
            with translating("storing media"):
                raise nats.errors.TimeoutError
        except BusUnavailableError as error:
            return weakref.ref(error)

    gc.disable()
    try:
        assert fails()() is None
    finally:
        gc.enable()
