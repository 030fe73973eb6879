"""What a person does on the page, and sees there: all found by role and name, as by people who listen."""

from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.walk.browser import PATIENCE_MS, Window


class Person:
    """At a window. Sentences are named by their keys, so that the same is done in every language. What is not to be
    seen in time raises AssertionError."""

    def __init__(self, window: Window) -> None:
        self.window = window

    @property
    def page(self) -> Page:
        return self.window.page

    async def open(self, path: str = "/") -> None:
        """Go there anew, as by a bookmark, and wait until there is something to read."""
        await self.page.goto(path)
        await seen(self.page.get_by_role("heading").first)

    async def shoot(self, name: str) -> None:
        """As ``Window.shoot``."""
        await self.window.shoot(name)

    # -- finding --

    async def heading(self, key: str, **values: Any) -> Locator:
        """A heading."""
        return self.page.get_by_role("heading", name=await self.window.say(key, **values))

    async def region(self, key: str) -> Locator:
        """A part of the page, by its heading."""
        return self.page.get_by_role("region", name=await self.window.say(key))

    async def button(self, key: str, within: Locator | None = None, **values: Any) -> Locator:
        """A button."""
        name = await self.window.say(key, **values)
        return (within or self.page).get_by_role("button", name=name, exact=True)

    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.page.get_by_role("dialog")

    # -- doing --

    async def press(self, key: str, within: Locator | None = None, **values: Any) -> None:
        """A button."""
        await (await self.button(key, within, **values)).click()

    async def fill(self, key: str, text: str, within: Locator | None = None) -> None:
        """A field, by its label."""
        await (within or self.page).get_by_label(await self.window.say(key), exact=True).fill(text)

    async def follow(self, name: str) -> None:
        """A link."""
        await self.page.get_by_role("link", name=name, exact=True).first.click()

    # -- seeing --

    async def sees(self, key: str, within: Locator | None = None, **values: Any) -> None:
        """A sentence."""
        text = await self.window.say(key, **values)
        await seen((within or self.page).get_by_text(text, exact=True).first)

    async def sees_state(self, state: str) -> None:
        """The state of the channel whose view is open."""
        await self.sees(f"state.{state}", await self.region("channel.state"))

    async def sees_no(self, key: str, **values: Any) -> None:
        """There is no such button."""
        await expect(await self.button(key, **values)).to_have_count(0)

    async def api(self, method: str, path: str, body: Any = None) -> int:
        """The status of a request that a script of this page makes, with its session."""
        script = """async ([method, path, body]) => (await fetch(path, {method, body: body && JSON.stringify(body),
            headers: body ? {"Content-Type": "application/json"} : {}})).status"""
        return int(await self.page.evaluate(script, [method, path, body]))


async def seen(what: Locator) -> None:
    """It is there, or comes in time."""
    await expect(what).to_be_visible(timeout=PATIENCE_MS)


async def gone(what: Locator) -> None:
    """It is not there, or goes in time."""
    await expect(what).to_be_hidden(timeout=PATIENCE_MS)
