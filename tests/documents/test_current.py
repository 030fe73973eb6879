import pytest

from tests.documents.made import MADE, ROOT


@pytest.mark.parametrize("path", MADE)
def test_a_document_is_as_the_code_says(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == MADE[path](), "write it anew: make docs"
