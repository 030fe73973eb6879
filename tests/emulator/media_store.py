"""The files on the media server, by path; sealed, as the server sees them."""

import hashlib
import os


class MediaStore:
    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def upload(self, token: str, blob: bytes) -> str:
        """Keep what a client uploads under its token; the path to fetch it from."""
        path = f"/v/t62.7118-24/{hashlib.sha256(token.encode()).hexdigest()[:32]}"
        self._files[path] = blob
        return path

    def put(self, blob: bytes) -> str:
        """Keep a contact's file under a path nobody can guess."""
        return self.upload(os.urandom(16).hex(), blob)

    def get(self, path: str) -> bytes | None:
        """The file, whatever follows its path (the client appends its parameters with "?" or "&")."""
        return self._files.get(_plain(path))

    def delete(self, path: str) -> None:
        self._files.pop(_plain(path), None)

    def __len__(self) -> int:
        return len(self._files)


def _plain(path: str) -> str:
    return path.partition("?")[0].partition("&")[0]
