"""Nothing in the product makes code, or commands of a shell, of data."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill", "yaml", "xml", "lxml", "tarfile", "code"}
FORBIDDEN_NAMES = {"eval", "exec", "__import__"}
FORBIDDEN_ATTRIBUTES = {"system", "popen", "extractall", "create_subprocess_shell", "getoutput"}


def offences(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [name.name for name in names if name.name.split(".")[0] in FORBIDDEN_MODULES]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in FORBIDDEN_MODULES:
                found.append(module)
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_NAMES:
                found.append(name)
            case ast.Attribute(attr=name) if name in FORBIDDEN_ATTRIBUTES:
                found.append(name)
            case ast.keyword(arg="shell", value=value) if not (isinstance(value, ast.Constant) and not value.value):
                found.append("shell")
            case _:
                pass
    return found


@pytest.mark.parametrize("package", ["supervisor", "actors", "protocol", "gateway", "config"])
def test_no_module_of_the_product_makes_code_of_data(package: str) -> None:
    found = {str(file): said for file in (ROOT / package).rglob("*.py") if (said := offences(file.read_text()))}
    assert found == {}


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from yaml import load", "eval('1')", "os.system('x')", "run('x', shell=True)", "z.extractall()"],
)
def test_an_offence_is_found(source: str) -> None:
    assert len(offences(source)) == 1
