from tests.fakes.memory_bus import body_of
from tests.unit.actors.channel.mouth import Mouth


async def test_smoke():
    m = Mouth()
    await m.start()
    await m.send(body_of(id="1", text="Olá", meta={"a": 1}))
    print(m.ledger.calls, m.results, m.remains.finished, m.bus.acked)
    assert len(m.part) == 0
    assert m.results == [("1", "sent")]
    await m.loop.end()
