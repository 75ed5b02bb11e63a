"""CURVE key pairs in a folder: made once, then copied to where each part belongs.

::

    DIR/server.key           public; analyzer and trainers
    DIR/server.key_secret    analyzer only
    DIR/client.key           public; analyzer, as a file of authorized/
    DIR/client.key_secret    trainer only
    DIR/authorized/*.key     public keys of the trainers that may connect

The files are ZeroMQ certificates (``zmq.auth``). That library writes secrets readable by
everyone, so modes are set here, and a secret that others can read is not used.
"""

import os
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import zmq
from zmq.auth.certs import create_certificates, load_certificate
from zmq.utils import z85

from shared.errors import ConfigurationError

_FOLDER_MODE: Final = 0o700
_SECRET_MODE: Final = 0o600
_PUBLIC_MODE: Final = 0o644
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_KEY_BYTES: Final = 32
_REMEDY: Final = "make a folder of keys with python -m analyzer_service keys DIR"


@dataclass(frozen=True)
class ServerKeys:
    """What an analyzer needs: its pair and the public keys that it lets in (Z85 text)."""

    public: bytes
    secret: bytes = field(repr=False)
    authorized: frozenset[bytes]


@dataclass(frozen=True)
class ClientKeys:
    """What a trainer needs: its pair and the public key of the analyzer (Z85 text)."""

    server: bytes
    public: bytes
    secret: bytes = field(repr=False)


def make_keys(folder: Path) -> None:
    """Make `folder` with a pair for an analyzer and one for a trainer that it lets in.

    Raises
    ------
    ConfigurationError
        If something is in `folder` already, or it cannot be written.
    """
    _require_curve()
    try:
        _make_folder(folder)
        for name in ("server", "client"):
            public, secret = create_certificates(folder, name)
            os.chmod(public, _PUBLIC_MODE)
            os.chmod(secret, _SECRET_MODE)
        authorized = folder / "authorized"
        authorized.mkdir(mode=_FOLDER_MODE)
        shutil.copy(folder / "client.key", authorized / "client.key")
    except OSError as error:
        raise ConfigurationError(
            f"keys cannot be written to {folder} ({os.strerror(error.errno or 0)}): choose "
            "another folder"
        ) from error


def load_server_keys(folder: Path) -> ServerKeys:
    """Keys of an analyzer, and of everyone that its ``authorized`` folder names.

    Raises
    ------
    ConfigurationError
        If a file is missing, is no key, or is a secret that others can read; or if nobody is
        authorized.
    """
    _require_curve()
    public, secret = _load_secret(folder / "server.key_secret")
    files = sorted((folder / "authorized").glob("*.key"))
    if not files:
        raise ConfigurationError(
            f"{folder / 'authorized'} holds no .key file, so that nobody could connect: copy the "
            "client.key of each trainer into it"
        )
    return ServerKeys(public, secret, frozenset(_load_public(file) for file in files))


def load_client_keys(folder: Path) -> ClientKeys:
    """Keys of a trainer, and the public key of its analyzer.

    Raises
    ------
    ConfigurationError
        If a file is missing, is no key, or is a secret that others can read.
    """
    _require_curve()
    server = _load_public(folder / "server.key")
    return ClientKeys(server, *_load_secret(folder / "client.key_secret"))


def _require_curve() -> None:
    if not zmq.has("curve"):
        raise ConfigurationError(
            "this ZeroMQ was built without CURVE: install pyzmq from its wheel, or leave out --keys"
        )


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConfigurationError(
            f"{folder} is not empty, and nothing is written over: choose another folder"
        )
    folder.chmod(_FOLDER_MODE)


def _load_public(file: Path) -> bytes:
    return _load(file)[0]


def _load_secret(file: Path) -> tuple[bytes, bytes]:
    public, secret = _load(file)
    if secret is None or not _is_key(secret) or zmq.curve_public(secret) != public:
        raise ConfigurationError(f"{file} holds no secret key that fits its public one: {_REMEDY}")
    if file.stat().st_mode & _OTHERS:
        raise ConfigurationError(f"{file} can be used by others: chmod 600 it, or make new keys")
    return public, secret


def _load(file: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = load_certificate(file)
    except (OSError, ValueError) as error:
        reason = "is not there" if not file.exists() else "cannot be read"
        raise ConfigurationError(f"key file {file} {reason}: {_REMEDY}") from error
    if not _is_key(public):
        raise ConfigurationError(f"{file} holds no public key: {_REMEDY}")
    return public, secret


def _is_key(text: bytes) -> bool:
    try:
        return len(z85.decode(text)) == _KEY_BYTES
    except Exception:  # that library lets whatever happens on wrong characters out
        return False
