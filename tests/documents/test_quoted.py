"""What is read from documents, and that what is wrong in them is found."""

import pytest

from tests.documents import existing, quoted

DOCUMENT = """\
# A title
Say `plantao channel list --json`, not `plantao`. See [there](../README.md#try-it) and [that](https://example.org/a).
It reads `events.encoding` and `nats.md`; `make test` runs it, and we make do. `config/tree.py` is a file, `a/x` none.
```sh
plantao top --once --trouble | head -40      # plantao nothing
curl -s "http://127.0.0.1:8080/api/v1/clinics/$C" && sudo plantao key \\
  list
journalctl -u plantao -o cat | grep '"event": "port_ended"' | grep '"clinic": "acme"' | grep "child exited" | tail
nats pub clinic.acme.channel.reception.send '{}'
```
```toml
[http]
port = 0
```
`GET /health`, `/etc/ready`, `PLANTAO_HTTP__PORT=0`, `plantao_queued{clinic="acme"}`, `plantao_*`
"""


def test_what_a_document_names_is_read_from_it() -> None:
    code = quoted.code(DOCUMENT)
    assert [" ".join(words) for words in quoted.commands(code)] == [
        "top --once --trouble",
        "key list",
        "channel list --json",
    ]
    assert quoted.variables(DOCUMENT) == {"PLANTAO_HTTP__PORT"}
    assert quoted.settings(DOCUMENT, {"events", "nats", "http"}) == {"events.encoding", "http.port"}
    assert quoted.routes(code) == {("GET", "/health"), ("", "/api/v1/clinics/$C")}
    assert quoted.subjects(DOCUMENT) == {"clinic.acme.channel.reception.send"}
    assert quoted.targets(code) == {"test"}
    assert quoted.links(DOCUMENT) == {("../README.md", "try-it")}
    assert quoted.paths(code, {"config", "deploy"}) == {"config/tree.py"}
    assert quoted.metrics(DOCUMENT) == {"plantao_queued"}
    assert quoted.log_fields(DOCUMENT) == {"event", "clinic"}
    assert quoted.log_events(DOCUMENT) == {"port_ended", "child exited"}
    assert quoted.anchors(DOCUMENT) == {"a-title"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("channel list", None),
        ("channel … acme reception", None),
        ("top --once --clinic=acme", None),
        ("chanel list", "no command chanel"),
        ("channel lst", "channel has no lst"),
        ("channel list --jason", "channel list has no --jason"),
    ],
)
def test_a_command_line_that_is_none_is_found(line: str, why: str | None) -> None:
    assert existing.wrong_in(line.split()) == why


@pytest.mark.parametrize(
    ("method", "path", "there"),
    [
        ("GET", "/health", True),
        ("POST", "/health", False),
        ("", "/api/v1/clinics/acme/channels/$CH", True),
        ("", "/api/v1/clinics/{c}/chanels", False),
        ("DELETE", "/api/v1/clinics", False),
        ("", "/api/v1/clinics/…", True),
        ("", "/api/v1", True),
    ],
)
def test_a_route_that_is_none_is_found(method: str, path: str, there: bool) -> None:
    assert existing.is_route(method, path) is there


@pytest.mark.parametrize(
    ("subject", "there"),
    [
        ("clinic.acme.channel.reception.send", True),
        ("clinic.*.channel.*.event.>", True),
        ("clinic.<c>.channel.<ch>.…", True),
        ("clinic.<c>.channel.<ch>.rpc.<verb>", True),
        ("clinic.<c>.channel.<ch>.sent", False),
        ("clinic.acme.channel.reception.event.messages", False),
        ("clinic.acme.rpc.statistics", False),
    ],
)
def test_a_subject_that_is_none_is_found(subject: str, there: bool) -> None:
    assert existing.is_subject(subject) is there
