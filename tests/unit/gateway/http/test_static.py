"""The files of the page, as they are packed and read."""

import re
from importlib.resources import files

from gateway.http.static import HEADERS, START, read_page


def test_the_page_is_there_with_all_that_it_names() -> None:
    page = read_page()
    html = page[START].body.decode()

    named = re.findall(r'(?:src|href)="/page/([^"]+)"', html)
    assert set(named) <= set(page)


def test_all_of_the_page_is_served() -> None:
    there = [entry.name for entry in files("gateway.http").joinpath("page").iterdir()]

    assert sorted(there) == sorted(read_page())


def test_nothing_is_allowed_to_it_but_what_is_served_here() -> None:
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))

    assert policy["default-src"] == "'none'"
    assert set(policy.values()) == {"'none'", "'self'"}
