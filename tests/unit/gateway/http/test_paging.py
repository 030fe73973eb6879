import json
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.http.paging import page
from protocol.errors import InvalidInputError

PLACES = st.lists(st.tuples(st.text(max_size=3), st.sampled_from("ab")), unique=True, max_size=12)


def asked(items: Any, *, newest_first: bool = False, **query: Any) -> tuple[list[tuple[str, ...]], str | None]:
    request = make_mocked_request("GET", f"/?{urlencode(query)}")
    response = page(request, items, lambda item: item, newest_first=newest_first)
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    found = json.loads(response.body)
    return [tuple(item) for item in found["items"]], found["next"]


@settings(deadline=None)
@given(items=PLACES, limit=st.integers(1, 5), newest_first=st.booleans())
def test_all_pages_together_are_the_whole_in_order(
    items: list[tuple[str, str]], limit: int, newest_first: bool
) -> None:
    seen, cursor, pages = list[tuple[str, ...]](), dict[str, str](), 0
    while True:
        some, after = asked(items, newest_first=newest_first, limit=limit, **cursor)
        seen, pages = seen + some, pages + 1
        if after is None:
            break
        cursor = {"cursor": after}
    assert seen == sorted(items, reverse=newest_first)
    assert pages == max(1, -(-len(items) // limit))


def test_what_comes_and_goes_between_two_pages_moves_nothing_else() -> None:
    _, after = asked([("a",), ("b",), ("d",)], limit=2)
    assert asked([("a",), ("aa",), ("c",), ("d",)], limit=2, cursor=after) == ([("c",), ("d",)], None)


@pytest.mark.parametrize("cursor", ["", "é", "x", "e30", "WzFd", "////"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInputError, match="cursor"):
        asked([("a",)], cursor=cursor)


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1", "1.5"])
def test_what_is_no_limit_is_refused(limit: str) -> None:
    with pytest.raises(InvalidInputError, match="limit"):
        asked([], limit=limit)
