"""The metrics, as their catalogue has them."""

from gateway.http.catalogue import CATALOGUE
from tests.documents.tables import table


def text() -> str:
    """All of them."""
    rows = [
        (f"`{each.name}`", each.kind.value, ", ".join(f"`{label}`" for label in each.labels), each.help)
        for each in CATALOGUE
    ]
    return table(("metric", "type", "labels", "what it says"), rows)
