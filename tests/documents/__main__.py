"""``make docs``: writes what has changed, and says what that was."""

from tests.documents.made import ROOT, stale


def main() -> None:
    """Write every document that is not as the code says."""
    changed = stale()
    for path, text in changed.items():
        (ROOT / path).write_text(text, encoding="utf-8")
        print(f"{path} is written")
    if not changed:
        print("Every document is as the code says.")


if __name__ == "__main__":
    main()
