"""The walk: what is done, and what must be seen then. Each scene goes on where the one before ended."""

import re
from dataclasses import dataclass

from playwright.async_api import Route, expect

from tests.walk.browser import PATIENCE_MS
from tests.walk.person import Person, gone, seen
from tests.walk.stage import Stage, read_code

_SESSION = "/api/v1/session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What one walk is about, apart from all others: a clinic with a channel, the channel's phone, a patient, and a
    number that is not on WhatsApp."""

    number: int

    @property
    def clinic(self) -> str:
        """As the page makes it of the name."""
        return f"clinica-sao-joao-{self.number}"

    @property
    def clinic_name(self) -> str:
        return f"Clínica São João {self.number}"

    @property
    def channel(self) -> str:
        return "recepcao"

    @property
    def channel_name(self) -> str:
        return "Recepção"

    @property
    def phone(self) -> str:
        return f"551199999000{self.number}"

    @property
    def patient(self) -> str:
        return f"551188888000{self.number}"

    @property
    def nobody(self) -> str:
        return f"551177777000{self.number}"

    @property
    def path(self) -> str:
        return f"/api/v1/clinics/{self.clinic}/channels/{self.channel}"


async def signs_in(person: Person, key: str) -> None:
    """First with a key that is none."""
    person.window.mean(401, "/api/v1/session")
    await person.open()
    await seen(await person.heading("signin.title"))
    language = person.window.look.language.partition("-")[0]
    await expect(person.page.locator("html")).to_have_attribute("lang", re.compile(f"^{language}"))
    await person.shoot("sign-in")
    await person.fill("signin.key", "plantao_wrong")
    await person.page.keyboard.press("Enter")
    await person.sees("signin.wrong")
    await person.shoot("wrong-key")
    await person.fill("signin.key", key)
    await person.press("signin.submit")
    await seen(await person.button("nav.sign_out"))
    await seen(await person.heading("overview.clinics"))
    await person.sees("stream.live")


async def creates(person: Person, place: Place) -> None:
    """A clinic and a channel of it."""
    await person.press("create.clinic")
    await person.fill("form.name", place.clinic_name, person.dialog())
    await expect(person.dialog().get_by_label(await person.window.say("form.id"))).to_have_value(place.clinic)
    await person.shoot("new-clinic")
    await person.press("create.submit", person.dialog())
    await seen(person.page.get_by_role("heading", name=place.clinic_name))
    await person.sees("clinic_state.running")
    await person.shoot("clinic")
    await person.press("create.channel")
    await person.fill("form.name", place.channel_name, person.dialog())
    await person.shoot("new-channel")
    await person.press("create.submit", person.dialog())
    await seen(person.page.get_by_role("heading", name=place.channel_name))


async def pairs(person: Person, stage: Stage, place: Place) -> None:
    """A phone scans what is on the screen, and the page tells of it by itself."""
    await person.sees_state("qr_required")
    picture = person.page.get_by_role("img", name=await person.window.say("pairing.alt"))
    await seen(picture)
    await seen(person.page.get_by_text(await person.window.say("pairing.valid")).first)
    await person.shoot("qr")
    loads = person.window.loads
    code = None
    while code is None:
        code = read_code(await picture.screenshot())
    await stage.emulator.scan(code, place.phone)
    await person.sees_state("connected")
    await gone(picture)
    assert person.window.loads == loads, "the page was loaded again"
    await person.shoot("connected")


async def sends(person: Person, stage: Stage, place: Place) -> None:
    """A message, whose ticks appear one after the other."""
    await stage.emulator.auto(place.patient, delivered=False)
    sending = await person.region("sending.title")
    await person.fill("sending.to", place.patient, sending)
    await person.fill("sending.text", "Sua consulta é amanhã às 10 h.", sending)
    await person.press("sending.submit", sending)
    await person.sees("message.sent", sending)
    await person.shoot("sent")
    arrived = await stage.emulator.wait_for_message(place.patient, text="Sua consulta é amanhã às 10 h.")
    await stage.emulator.receive(place.patient, arrived.id, place.phone)
    await person.sees("message.delivered", sending)
    await person.shoot("delivered")
    await stage.emulator.read(place.patient, arrived.id, place.phone)
    await person.sees("message.read", sending)
    await person.shoot("read")


async def comes_back(person: Person, place: Place) -> None:
    """Loaded again, the page is where it was, and nobody has to sign in."""
    await person.page.reload()
    await seen(person.page.get_by_role("heading", name=place.channel_name))
    await person.sees_state("connected")


async def loses_the_port(person: Person, stage: Stage, place: Place) -> None:
    """It is killed while WhatsApp cannot be reached: the page says when it tries again, and that it is back."""
    fault = await stage.emulator.fault("refuse")
    stage.kill_port(place.clinic, place.channel)
    await person.sees_state("reconnecting")
    await person.sees("todo.reconnecting")
    await seen(person.page.get_by_text(await person.window.say("channel.retry")).first)
    await person.shoot("reconnecting")
    await stage.emulator.clear(fault)
    await person.sees_state("connected")
    await person.shoot("back")


async def replays(person: Person, stage: Stage, place: Place) -> None:
    """A message that WhatsApp refuses, with the history of that; sent again, it goes out."""
    await stage.emulator.fault("ack_error", phone=place.phone, code=403, count=1)
    sending, dead = await person.region("sending.title"), person.page.locator("section[aria-labelledby=dead]")
    text = "Sua consulta foi remarcada."
    await person.fill("sending.to", place.patient, sending)
    await person.fill("sending.text", text, sending)
    await person.press("sending.submit", sending)
    await person.sees("message.failed", sending)
    letter = dead.get_by_role("listitem").first
    await seen(letter)
    await letter.locator("summary").click()
    await seen(letter.get_by_text(await person.window.say("code.rejected")).last)
    await person.shoot("dead-letter")
    await letter.get_by_role("button").first.click()
    await person.sees("done.replay")
    await person.sees("letters.none", dead)
    await stage.emulator.wait_for_message(place.patient, text=text)
    await person.shoot("replayed")


async def discards(person: Person, stage: Stage, place: Place) -> None:
    """Another one, which is not worth it."""
    await stage.emulator.exists(place.nobody, False)
    sending, dead = await person.region("sending.title"), person.page.locator("section[aria-labelledby=dead]")
    await person.fill("sending.to", place.nobody, sending)
    await person.press("sending.submit", sending)
    letter = dead.get_by_role("listitem").first
    await seen(letter)
    await letter.get_by_role("button").nth(1).click()
    await seen(person.dialog())
    await person.shoot("discard")
    await person.press("letters.discard", person.dialog())
    await person.sees("letters.none", dead)


async def looks_at_the_tree(person: Person, place: Place) -> None:
    """Every actor, down to the port."""
    await person.follow(await person.window.say("nav.tree"))
    await seen(person.page.get_by_text(place.clinic, exact=True).first)
    await person.press("tree.toggle", id=place.channel)
    await seen(person.page.get_by_text("port", exact=True).first)
    await person.shoot("tree")
    await person.page.go_back()
    await seen(person.page.get_by_role("heading", name=place.channel_name))


async def suspends_and_resumes(person: Person) -> None:
    """The first is asked twice, and can be done by keys alone."""
    await (await person.button("action.suspend")).focus()
    await person.page.keyboard.press("Enter")
    await seen(person.dialog())
    await person.shoot("suspend")
    await person.page.keyboard.press("Escape")
    await gone(person.dialog())
    await expect(await person.button("action.suspend")).to_be_focused()
    await person.press("action.suspend")
    await person.press("action.suspend", person.dialog())
    await person.sees_state("suspended")
    await person.press("action.resume")
    await person.sees_state("connected")


async def logs_out(person: Person) -> None:
    """The number is unlinked; the overview says first what is to be done."""
    await person.press("action.logout")
    await seen(person.dialog())
    await person.shoot("log-out")
    await person.press("action.logout", person.dialog())
    await person.sees_state("logged_out")
    await person.shoot("logged-out")
    await person.follow(await person.window.say("nav.overview"))
    await person.sees("trouble.logged_out")
    await person.shoot("trouble")


async def pairs_by_phone(person: Person, stage: Stage, place: Place) -> None:
    """With a code that is typed on the phone."""
    await person.follow(place.channel_name)
    await person.sees_state("logged_out")
    await person.press("action.pair")
    await person.sees_state("qr_required")
    await person.page.get_by_text(await person.window.say("pairing.by_phone")).click()
    await person.fill("pairing.phone", place.phone)
    await person.press("pairing.get_code")
    output = person.page.get_by_role("status").locator("output.code")
    code = person.page.locator("output.code").or_(output).first
    await seen(code)
    await person.shoot("typed-code")
    await stage.emulator.pair_code(await code.inner_text(), place.phone)
    await person.sees_state("connected")


async def removes(person: Person, place: Place) -> None:
    """The channel and the clinic, whose names have to be typed."""
    await person.press("channel.remove")
    await person.page.get_by_role("dialog").get_by_role("textbox").fill("something")
    await person.press("channel.remove", person.dialog())
    await person.sees("confirm.mistyped", person.dialog(), word=place.channel)
    await person.shoot("remove")
    await person.dialog().get_by_role("textbox").fill(place.channel)
    await person.press("channel.remove", person.dialog())
    await seen(person.page.get_by_role("heading", name=place.clinic_name))
    await person.press("clinic.remove")
    await person.dialog().get_by_role("textbox").fill(place.clinic)
    await person.press("clinic.remove", person.dialog())
    await seen(await person.heading("overview.clinics"))
    await gone(person.page.get_by_role("link", name=place.clinic_name))
    await person.shoot("removed")


async def signs_out(person: Person) -> None:
    """What was seen is gone; but not while the session is there still, since the node could not end it."""
    person.window.mean(503, _SESSION)
    await person.page.route(f"**{_SESSION}", _away)
    await person.press("nav.sign_out")
    await person.sees("problem.unavailable")
    await person.page.unroute(f"**{_SESSION}")
    await person.press("nav.sign_out")
    await seen(await person.heading("signin.title"))
    await expect(person.page.get_by_role("alert")).to_have_count(0)
    await person.shoot("signed-out")


async def _away(route: Route) -> None:
    problem = {"type": "urn:plantao:problem:unavailable", "title": "", "status": 503, "detail": ""}
    await route.fulfill(status=503, json=problem)


async def only_looks(person: Person, stage: Stage, place: Place) -> None:
    """A viewer of the clinic sees all of it and can do nothing, on the page or past it; and is out when the key is."""
    own, key = await stage.key("viewer", place.clinic)
    for path in (place.path, f"{place.path}/connect", f"{place.path}/qr", "/api/v1/clinics"):
        person.window.mean(403, path)
    await signs_in(person, key)
    await seen(person.page.get_by_role("link", name=place.clinic_name).first)
    await person.sees_no("create.clinic")
    await person.shoot("viewer")
    await person.follow(place.clinic_name)
    await person.sees("clinic_state.running")
    await person.sees_no("create.channel")
    await person.sees_no("clinic.remove")
    await person.follow(place.channel_name)
    await person.sees_state("connected")
    for what in ("action.reconnect", "action.suspend", "action.logout", "channel.remove", "sending.submit"):
        await person.sees_no(what)
    await person.shoot("viewer-channel")
    assert await person.api("POST", f"{place.path}/connect") == 403
    assert await person.api("DELETE", place.path) == 403
    assert await person.api("GET", f"{place.path}/qr") == 403
    assert await person.api("POST", "/api/v1/clinics", {"id": "other", "name": "Other"}) == 403
    person.window.mean(401, "/api/v1/events")
    await stage.revoke(own)
    await expect(await person.heading("signin.title")).to_be_visible(timeout=PATIENCE_MS)
    await person.sees("signin.ended")
    await person.shoot("key-revoked")


async def short(person: Person, stage: Stage, place: Place) -> None:
    """What a newcomer does first."""
    await signs_in(person, (await stage.key("admin"))[1])
    await creates(person, place)
    await pairs(person, stage, place)
    await sends(person, stage, place)
    await comes_back(person, place)


async def whole(person: Person, stage: Stage, place: Place) -> None:
    """Everything, but that the clinic is there afterwards."""
    await short(person, stage, place)
    await loses_the_port(person, stage, place)
    await replays(person, stage, place)
    await discards(person, stage, place)
    await looks_at_the_tree(person, place)
    await suspends_and_resumes(person)
    await logs_out(person)
    await pairs_by_phone(person, stage, place)
