import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media_fetch.target import follow, read
from protocol.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "host", "port", "usual"),
    [
        ("https://example.org/a.pdf?x=1#y", "example.org", 443, True),
        ("https://example.org:8443/", "example.org", 8443, False),
        ("http://example.org/", "example.org", 80, False),
        ("https://exámple.org/", "xn--exmple-qta.org", 443, True),
        ("https://[2a00::1]/", "2a00::1", 443, True),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int, usual: bool) -> None:
    target = read(text)
    assert (target.host, target.port, target.usual) == (host, port, usual)
    assert not target.url.fragment


@pytest.mark.parametrize(
    "text",
    [
        "", "nowhere", "//example.org/", "ftp://example.org/", "file:///etc/passwd", "https://", "https:///x",
        "https://user@example.org/", "https://user:pw@example.org/", "https://example.org:0/", "https://example.org:99999/",
        "https://0177.0.0.1/", "https://0x7f.1/", "https://2130706433/", "https://127.1/", "https://example.org\\@10.0.0.1/",
        "https://exa mple.org/", "https://[::1", "https://" + "a" * 2050,
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(text)
    assert caught.value.field == "media.url"
    assert not text or text not in str(caught.value)


@given(st.text(max_size=100))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for made in (text, f"https://{text}", f"https://example.org/{text}"):
        try:
            target = read(made)
        except InvalidInputError:
            continue
        assert target.host
        assert target.url.raw_user is None


def test_a_redirection_is_followed_from_where_it_is() -> None:
    assert str(follow(read("https://example.org/a/b"), "../c").url) == "https://example.org/c"
    assert follow(read("http://example.org/"), "https://other.example/").host == "other.example"


@pytest.mark.parametrize(
    "location", ["", "http://example.org/", "ftp://a/", "https://u:p@example.org/", "https://[", "x" * 3000]
)
def test_a_redirection_to_elsewhere_is_refused(location: str) -> None:
    with pytest.raises(InvalidInputError):
        follow(read("https://example.org/"), location)
