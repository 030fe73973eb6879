"""The reasons for which requests are refused are a closed list, which metrics give from the start."""

import re
from pathlib import Path

from gateway.access import hours
from gateway.http import guard, origins, places
from gateway.http.metrics import REFUSALS

_COUNTED = re.compile(
    r'_refused\["(\w+)"\]|why, what = "(\w+)"|why, what = \("(\w+)".*?else \("(\w+)"|(?:_too_many\(|why=)"(\w+)"'
)


def test_every_reason_that_is_counted_is_on_the_list_and_no_other() -> None:
    found = set[str]()
    for module in (guard, hours, origins, places):
        for *reasons, limited in _COUNTED.findall(Path(str(module.__file__)).read_text()):
            found.update(reason for reason in reasons if reason)
            found.update([f"{limited}_limit"] if limited else [])
    assert found == set(REFUSALS)
