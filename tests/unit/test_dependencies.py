from tests.dependencies import affected, not_as_locked, read_lock

LOCK = """# by uv
good==1.2 \\
    --hash=sha256:00 \\
    --hash=sha256:01
    # via x
elsewhere==3 ; sys_platform == 'nowhere' \\
    --hash=sha256:02
bare==4
loose>=5
"""


def test_what_is_not_pinned_or_has_no_hash_is_found() -> None:
    locked, wrong = read_lock(LOCK)
    assert wrong == ["not pinned: loose>=5", "bare 4 has no hashes"]
    assert {name: (entry.hashes, entry.here) for (name, _), entry in locked.items()} == {
        "good": (2, True),
        "elsewhere": (1, False),
        "bare": (0, True),
    }


def test_an_affected_version_is_found() -> None:
    advisories = [{"package": "good", "below": "1.10", "ids": ["CVE-1"]}, {"package": "bare", "below": "4", "ids": []}]
    locked, _ = read_lock(LOCK)
    assert affected(locked, advisories) == ["good 1.2: CVE-1, mended in 1.10"]


def test_an_environment_that_is_not_as_locked_is_found() -> None:
    locked, _ = read_lock(LOCK)
    assert not_as_locked(locked, {"good": "1.2", "bare": "4.1", "stray": "1"}) == [
        "bare: 4.1 installed, 4 locked",
        "stray: 1 installed, nothing locked",
    ]
