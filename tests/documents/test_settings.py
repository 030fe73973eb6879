import pytest

from config.sections import SECRETS
from config.settings import Settings, load
from tests.documents import environment
from tests.documents.settings import Section, Setting, sections, sentences

SETTINGS = [setting for section in sections() for setting in section.settings]


@pytest.mark.parametrize("section", [section for section in sections() if section.name], ids=lambda each: each.name)
def test_every_section_says_what_it_is_about(section: Section) -> None:
    assert all(section.meaning)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda each: each.key)
def test_every_setting_has_a_sentence(setting: Setting) -> None:
    assert setting.meaning.endswith(".")


def test_what_is_secret_is_among_them() -> None:
    assert {setting.key for setting in SETTINGS if setting.secret} == SECRETS


def test_a_sentence_is_what_stands_below_a_field() -> None:
    assert sentences(Settings)["data"] == "Where everything is kept that has to outlive the node."


def uncommented(settings: list[Setting]) -> dict[str, str]:
    """The variables of ``.env.example``, as if all of these were uncommented."""
    names = {setting.variable for setting in settings}
    lines = [line[1:].partition("=") for line in environment.text().splitlines() if line.startswith("#PLANTAO_")]
    return {name: value for name, _, value in lines if name in names}


def test_the_example_has_every_setting_once() -> None:
    assert set(uncommented(SETTINGS)) == {setting.variable for setting in SETTINGS}
    assert environment.text().count("\n#PLANTAO_") == len(SETTINGS)


def test_the_example_uncommented_is_as_nothing_at_all() -> None:
    plain = [each for each in SETTINGS if each.default is not None and each.key != "whatsapp.port_command"]
    assert load(None, uncommented(plain)) == load(None, {})


def test_what_has_no_default_has_an_example_that_can_be_read() -> None:
    given = uncommented([each for each in SETTINGS if each.default is None])
    assert str(load(None, given).keys.master_file) == given["PLANTAO_KEYS__MASTER_FILE"]
