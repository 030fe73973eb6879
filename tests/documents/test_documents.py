"""What documents name exists, and what exists is named in one of them."""

import re
from pathlib import Path

import pytest

from config.log import FIELDS
from gateway.http.catalogue import CATALOGUE
from gateway.nats import rpc
from protocol.subjects import ClinicVerb, Verb
from tests.commands import commands
from tests.documents import existing, quoted
from tests.documents.existing import ROOT

TOPS = {*existing.PRODUCT, "deploy", "tests"}
PLACEHOLDERS = {"PLANTAO_SECTION__KEY", "PLANTAO_SECTION__KEY_FILE"}
"""How documents speak of any variable."""
OTHERS = {"PLANTAO_PORT"}
"""What Kubernetes would set, were it let."""
NO_METRICS = {"plantao_registry", "plantao_session"}
"""A bucket, and a cookie."""

each = pytest.mark.parametrize("document", existing.documents(), ids=lambda path: str(path.relative_to(ROOT)))


def read(document: Path) -> str:
    return document.read_text()


def code(document: Path) -> str:
    """What in it is for machines."""
    return quoted.code(read(document)) if document.suffix == ".md" else read(document)


def everything() -> str:
    return "\n".join(map(read, existing.documents()))


@each
def test_its_commands_exist_with_their_options(document: Path) -> None:
    wrong = {" ".join(words): existing.wrong_in(words) for words in quoted.commands(code(document))}
    assert {line: why for line, why in wrong.items() if why} == {}


@each
def test_its_variables_and_settings_exist(document: Path) -> None:
    assert quoted.variables(read(document)) - existing.variables() - PLACEHOLDERS - OTHERS == set()
    if document.suffix == ".md":
        named = quoted.settings(read(document), existing.section_names())
        assert named - existing.settings() - existing.fields_of_commands() == set()


@each
def test_its_routes_exist(document: Path) -> None:
    assert {one for one in quoted.routes(code(document)) if not existing.is_route(*one)} == set()


@each
def test_its_subjects_exist(document: Path) -> None:
    assert {subject for subject in quoted.subjects(read(document)) if not existing.is_subject(subject)} == set()


@each
def test_its_make_targets_exist(document: Path) -> None:
    assert quoted.targets(code(document)) - existing.targets() == set()


@each
def test_its_files_and_anchors_exist(document: Path) -> None:
    text = read(document)
    named = {path.rstrip("/") for path in quoted.paths(code(document), TOPS)}
    missing = {path for path in named - existing.made_by_users() if not list(ROOT.glob(path))}
    if document.suffix == ".md":
        for path, anchor in quoted.links(text):
            target = (document.parent / path) if path else document
            if not target.exists() or (anchor and anchor not in quoted.anchors(target.read_text())):
                missing.add(f"{path}#{anchor}")
    assert missing == set()


@each
def test_what_it_searches_the_log_for_exists(document: Path) -> None:
    if document.suffix == ".md":
        assert quoted.log_events(read(document)) - existing.words_of_the_code() == set()
        assert quoted.log_fields(read(document)) - set(FIELDS) == set()


@each
def test_its_metrics_exist(document: Path) -> None:
    assert quoted.metrics(read(document)) - existing.metrics() - NO_METRICS == set()


def test_every_metric_is_named() -> None:
    text = everything()
    assert {metric.name for metric in CATALOGUE if f"`{metric.name}" not in text} == set()


def test_every_field_of_the_log_is_named() -> None:
    text = read(ROOT / "deploy" / "REFERENCE.md")
    assert {field for field in FIELDS if f"`{field}`" not in text} == set()


def test_every_command_is_named() -> None:
    text = everything()
    assert {str(one) for one in commands() if f"plantao {one}" not in text} == set()


def test_every_setting_is_named() -> None:
    text = everything()
    assert {one for one in existing.variables() if one not in text} == set()


def test_every_route_is_named() -> None:
    text = everything()
    assert {(method, path) for method, path in existing.routes() if f"{method} {path}" not in text} == set()


def test_every_subject_that_a_client_uses_is_named() -> None:
    text = everything().replace("{clinic}", "*").replace("{channel}", "*")
    own = {"clinic.*.channel.*.due", "clinic.*.channel.*.later.*"}
    assert {subject for subject in existing.subject_templates() - own if subject not in text} == set()


def test_every_verb_is_in_the_table_of_requests() -> None:
    text = f"{rpc.__doc__} {read(ROOT / 'README.md')}"
    for verb in (*Verb, *ClinicVerb):
        assert f"``{verb}``" in text, verb
        assert re.search(rf"\b{verb}\b", read(ROOT / "README.md")), verb


def test_every_make_target_is_named_in_the_readme() -> None:
    assert existing.targets() - quoted.targets(code(ROOT / "README.md")) == set()
