import inspect

import pytest

from protocol import errors
from protocol.errors import (
    AlreadyExistsError,
    BusUnavailableError,
    CallTimeoutError,
    InvalidAddressError,
    InvalidBodyError,
    InvalidIdError,
    InvalidInputError,
    NotFoundError,
    PlantaoError,
    PortError,
    PortGoneError,
    PortStartError,
    StoreFullError,
    StoreUnavailableError,
    UnavailableError,
    WrongKeyError,
)

ALL = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, Exception)]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_one_of_ours_ends_in_error_and_stands_in_the_tree(kind: type[Exception]) -> None:
    assert issubclass(kind, PlantaoError)
    assert kind.__name__.endswith("Error")
    assert kind.__name__ in (errors.__doc__ or "")
    assert kind.__doc__


@pytest.mark.parametrize(
    ("base", "kinds"),
    [
        (InvalidInputError, [InvalidIdError, InvalidAddressError, InvalidBodyError]),
        (UnavailableError, [BusUnavailableError, StoreUnavailableError, StoreFullError, WrongKeyError]),
        (PortError, [PortStartError, PortGoneError, CallTimeoutError]),
    ],
)
def test_what_may_succeed_later_is_told_by_type(base: type[Exception], kinds: list[type[Exception]]) -> None:
    assert {kind for kind in ALL if issubclass(kind, base)} == {base, *kinds}


def test_errors_carry_what_they_are_about() -> None:
    wrong = InvalidInputError("to", "digits")
    assert (str(wrong), wrong.field, wrong.expected) == ("to: expected digits", "to", "digits")
    assert (str(NotFoundError("clinic acme")), NotFoundError("clinic acme").what) == (
        "clinic acme does not exist",
        "clinic acme",
    )
    assert (str(AlreadyExistsError("clinic acme")), AlreadyExistsError("clinic acme").what) == (
        "clinic acme exists already",
        "clinic acme",
    )


def test_an_address_is_never_repeated() -> None:
    error = InvalidAddressError("+55 11 98765-4321")
    assert "98765" not in str(error)
    assert "17 characters" in str(error)
