"""JIDs as text, without going through the library."""


def bare_jid(jid: str) -> str:
    """A JID without its agent and device: ``551199:12@s.whatsapp.net`` is ``551199@s.whatsapp.net``."""
    user, at, server = jid.partition("@")
    return user.split(":")[0].split(".")[0] + at + server
