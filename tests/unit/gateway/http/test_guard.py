import pytest

from gateway.http.guard import presented


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"Authorization": "bearer  abc"}, "abc"),
        ({"Authorization": "Basic abc"}, ""),
        ({"Authorization": "abc"}, ""),
        ({"X-API-Key": "abc"}, "abc"),
        ({"Authorization": "Bearer abc", "X-API-Key": "xyz"}, "abc"),
    ],
)
def test_a_key_is_presented_in_either_header(headers: dict[str, str], key: str | None) -> None:
    assert presented(headers) == key
