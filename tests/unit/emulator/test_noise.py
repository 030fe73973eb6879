"""The handshake, against an initiator built from the same primitives."""

import pytest
from cryptography.exceptions import InvalidTag

from tests.emulator.curve import KeyPair
from tests.emulator.noise import PROLOGUE, Cipher, HandshakeError, Responder, SymmetricState
from tests.emulator.schemas import ClientPayload, HandshakeMessage


class Initiator:
    """The client's side."""

    def __init__(self, prologue: bytes = PROLOGUE) -> None:
        self.state = SymmetricState(prologue)
        self.ephemeral, self.static = KeyPair.generate(), KeyPair.generate()

    def hello(self) -> bytes:
        message = HandshakeMessage()
        message.clientHello.ephemeral = self.ephemeral.public
        self.state.mix_hash(self.ephemeral.public)
        return bytes(message.SerializeToString())

    def finish(self, answer: bytes, payload: bytes) -> tuple[bytes, bytes, bytes]:
        """(ClientFinish, the server's static key, its certificate)"""
        hello = HandshakeMessage.FromString(answer).serverHello
        self.state.mix_hash(hello.ephemeral)
        self.state.mix_key(self.ephemeral.agree(hello.ephemeral))
        server = self.state.decrypt(hello.static)
        self.state.mix_key(self.ephemeral.agree(server))
        certificate = self.state.decrypt(hello.payload)
        message = HandshakeMessage()
        message.clientFinish.static = self.state.encrypt(self.static.public)
        self.state.mix_key(self.static.agree(hello.ephemeral))
        message.clientFinish.payload = self.state.encrypt(payload)
        return bytes(message.SerializeToString()), server, certificate


def test_both_sides_agree_on_ciphers_and_the_client_says_who_it_is() -> None:
    static, initiator = KeyPair.generate(), Initiator()
    responder = Responder(PROLOGUE, static, b"certificate")
    payload = ClientPayload(username=5511900000001, device=2).SerializeToString()
    finish, server, certificate = initiator.finish(responder.answer(initiator.hello()), payload)
    greeting = responder.finish(finish)

    assert (server, certificate) == (static.public, b"certificate")
    assert (greeting.payload.username, greeting.payload.device) == (5511900000001, 2)
    sending, receiving = initiator.state.split()
    for text in (b"one", b"two"):
        assert greeting.receiving.decrypt(sending.encrypt(text)) == text
        assert receiving.decrypt(greeting.sending.encrypt(text)) == text


def test_another_prologue_is_noticed() -> None:
    initiator = Initiator(b"WA\x06\x02")
    responder = Responder(PROLOGUE, KeyPair.generate(), b"")
    answer = responder.answer(initiator.hello())
    with pytest.raises(InvalidTag):
        initiator.finish(answer, b"")


@pytest.mark.parametrize("message", [b"\xff\xff", b"", b"\x12\x03\x0a\x01x"])
def test_what_is_no_client_hello_is_refused(message: bytes) -> None:
    with pytest.raises(HandshakeError):
        Responder(PROLOGUE, KeyPair.generate(), b"").answer(message)


def test_a_finish_that_was_tampered_with_is_refused() -> None:
    initiator, responder = Initiator(), Responder(PROLOGUE, KeyPair.generate(), b"")
    finish, _, _ = initiator.finish(responder.answer(initiator.hello()), b"")
    with pytest.raises(HandshakeError):
        responder.finish(finish[:-1] + bytes([finish[-1] ^ 1]))


def test_a_cipher_takes_messages_only_in_order() -> None:
    sending, receiving = Cipher(bytes(32)), Cipher(bytes(32))
    sending.encrypt(b"lost")
    with pytest.raises(InvalidTag):
        receiving.decrypt(sending.encrypt(b"next"))
