"""The system account that the embedded PostgreSQL runs as, and that account's way to its files.

PostgreSQL refuses to run as root. A gateway started as root (a container, a fresh machine) therefore runs it as
another account, and that account must be able to walk to the data and to the programs. Nothing here changes
anything unless the gateway runs as root, and then only what the walk needs: the right to search a directory of
root's, never to list or to read one.
"""

import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

PREFERRED = ("tollway", "postgres", "nobody")
"""Whom root runs PostgreSQL as: the first of these that exists. No account is ever created."""


class AccountUnusable(Exception):
    """PostgreSQL can't be run as another account; the message says what the operator can do."""


class PopenIdentity(TypedDict, total=False):
    """Arguments of :class:`subprocess.Popen` that drop root's rights before the program starts."""

    user: int
    group: int
    extra_groups: list[int]


class Account:
    """Who PostgreSQL runs as. ``is_other`` tells that it is not the gateway's own account."""

    def __init__(self, name: str, uid: int, gid: int, *, is_other: bool) -> None:
        self.name = name
        self.uid = uid
        self.gid = gid
        self.is_other = is_other

    @classmethod
    def choose(cls, data: Path) -> "Account":
        """The gateway's own account, or for root the owner of ``data``, else the first of :data:`PREFERRED`.

        Raises:
            AccountUnusable: root has none of these accounts.
        """
        if os.geteuid() != 0:
            return cls(str(os.geteuid()), os.geteuid(), os.getegid(), is_other=False)
        owner = data.stat().st_uid if data.exists() else 0
        for entry in (_entry(owner) if owner else None, *map(_named, PREFERRED)):
            if entry is not None and entry.pw_uid != 0:
                return cls(entry.pw_name, entry.pw_uid, entry.pw_gid, is_other=True)
        raise AccountUnusable(
            f"PostgreSQL refuses to run as root, and this machine has none of the accounts {', '.join(PREFERRED)}. "
            "Create one (useradd --system tollway), or start the gateway as an ordinary user."
        )

    @property
    def identity(self) -> PopenIdentity:
        """What to give :class:`subprocess.Popen`; nothing when the account is our own."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_other else {}

    def own(self, path: Path) -> None:
        """Hand ``path`` (not what is in it) over to this account."""
        if self.is_other:
            os.chown(path, self.uid, self.gid)

    def open_way(self, path: Path, tell: Callable[[str], None]) -> None:
        """Let this account walk to ``path``: search permission on each directory above it that lacks it.

        Search (``x``) lets a known name be reached; it shows no listing and no file that is closed itself. The
        rejected roads: keeping the data elsewhere (nobody would find or delete it) and keeping root's capabilities
        in PostgreSQL (its superuser could then read every file of the machine).

        Raises:
            AccountUnusable: a directory is closed and can't be opened.
        """
        if not self.is_other:
            return
        for directory in reversed(path.absolute().parents):
            found = directory.stat()
            if not self._may(found, 0o1):
                self._widen(directory, found.st_mode, stat.S_IXOTH)
                tell(f"{directory} may now be searched, not listed, by all accounts: {self.name} must reach {path}")

    def open_tree(self, root: Path, tell: Callable[[str], None]) -> None:
        """Let this account read and run what is below ``root``, a tree of public programs."""
        if not self.is_other or self._may(root.stat(), 0o5):
            return
        tell(f"{root} is made readable, so that {self.name} can run PostgreSQL")
        for path in (root, *root.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                self._widen(path, mode, stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))

    def _may(self, found: os.stat_result, wanted: int) -> bool:
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        return (found.st_mode >> shift) & wanted == wanted

    def _widen(self, path: Path, mode: int, more: int) -> None:
        try:
            path.chmod(stat.S_IMODE(mode) | more)
        except OSError as error:
            raise AccountUnusable(
                f"{self.name} must reach {path} to run PostgreSQL, and its mode can't be changed ({error.strerror}). "
                "Put storage.data_dir where that account can go (such as /var/lib/tollway), "
                "or start the gateway as an ordinary user."
            ) from error


def _named(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None
