import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from actors.channel.optout import LONGEST, OptOut, plain

WORDS = OptOut.of(["SAIR", "Não quero", "STOP"], ["VOLTAR"])


@pytest.mark.parametrize(
    "text", ["sair", "SAIR", " Sair. ", "sáir!", "S@IR".replace("@", "A"), "nao  quero", "NÃO, QUERO"]
)
def test_the_word_alone_in_any_writing_asks_not_to_be_written_to(text: str) -> None:
    assert WORDS.said(text) is True


@pytest.mark.parametrize("text", ["voltar", "Voltar!"])
def test_the_other_word_asks_to_be_written_to_again(text: str) -> None:
    assert WORDS.said(text) is False


@pytest.mark.parametrize(
    "text",
    [None, "", "...", "quero sair do plano", "sairei", "saí", "sair " * LONGEST],
    ids=lambda text: str(text)[:12],
)
def test_anything_else_says_nothing(text: str | None) -> None:
    assert WORDS.said(text) is None


def test_without_words_nothing_is_said() -> None:
    assert OptOut().said("sair") is None
    assert OptOut.of(["", "..."], []).said("!") is None


@given(st.text(max_size=60))
@example("𝑨")
def test_writing_it_plainly_twice_changes_nothing(text: str) -> None:
    assert plain(plain(text)) == plain(text)
