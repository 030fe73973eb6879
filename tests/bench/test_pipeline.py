"""The bench's null ports must keep up with the product: a very small run of the part that stands on them."""

import pytest

from tests.bench import pipeline
from tests.bench.report import Table


@pytest.mark.timeout(120)
async def test_messages_go_both_ways_through_a_node_without_whatsapp() -> None:
    tables = list[Table]()
    sizes = pipeline.Sizes(channels=3, rounds=1, flood=300, paced_s=1.0, http=20)
    await pipeline.measure(sizes, lambda _: None, tables.append)
    labels = {row.label: row.n for table in tables for row in table.rows}
    assert labels["out"] == labels["in"] == 300
    assert labels["8 at a time"] == 20
    [latency] = [row for table in tables for row in table.rows if row.label == "out: published to socket call"]
    assert latency.values["p50"] > 0
