import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.http.requests import choice, number
from protocol.errors import InvalidInputError
from protocol.subjects import Priority


@pytest.mark.parametrize(("query", "found"), [("", None), ("?p=high", Priority.HIGH), ("?p=bulk&p=x", Priority.BULK)])
def test_a_choice_is_one_of_its_kind(query: str, found: Priority | None) -> None:
    assert choice(make_mocked_request("GET", f"/{query}"), "p", Priority) is found


@pytest.mark.parametrize("text", ["", "HIGH", "high ", "x"])
def test_another_choice_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        choice(make_mocked_request("GET", f"/?p={text}"), "p", Priority)
    assert str(caught.value) == "p: expected one of high, normal, bulk"


@pytest.mark.parametrize(("query", "found"), [("", 7), ("?n=1", 1), ("?n=1.5", 1.5), ("?n=10", 10), ("?n=0", 0)])
def test_a_number_is_within_its_bounds(query: str, found: float) -> None:
    assert number(make_mocked_request("GET", f"/{query}"), "n", 7, most=10) == found


@pytest.mark.parametrize("text", ["", "11", "-1", "1e1", "nan", "inf", "1.", "+1", "%201", "1_0", "%D9%A1", "1%0A"])
def test_what_is_none_is_refused_with_its_bounds(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        number(make_mocked_request("GET", f"/?n={text}"), "n", 7, most=10)
    assert str(caught.value) == "n: expected a number from 0 to 10"


def test_a_whole_number_has_no_fraction() -> None:
    with pytest.raises(InvalidInputError, match="a whole number from 1 to 10"):
        number(make_mocked_request("GET", "/?n=1.0"), "n", 7, least=1, most=10, whole=True)
