"""An OpenID provider on this machine, certified software, with people who come and go."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from rig import paths

HERE = Path(__file__).parent
PASSWORD = "of everybody at the provider"
CLIENT = "spillway"
STARTED = 60


@dataclass
class Provider:
    """One process; who is there, and in which groups, may change while it runs."""

    address: str
    """Of this machine, where the cluster's pods reach it."""
    port: int
    callback: str
    folder: Path
    secret: str = "the client's secret"
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    """``accessSeconds``, ``refreshes``: how long tokens last, and whether they can be renewed."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def issuer(self) -> str:
        return f"http://{self.address}:{self.port}"

    def tell(self) -> None:
        """Write who is there now; every later answer is according to it."""
        told = {"password": PASSWORD, "accounts": self.accounts, **self.settings}
        fresh = self.folder / "accounts.new"
        fresh.write_text(json.dumps(told))
        fresh.replace(self.folder / "accounts.json")

    def start(self) -> None:
        """From nothing: it remembers no session and no token."""
        self.tell()
        words = [self.issuer, CLIENT, self.secret, self.callback, self.folder / "accounts.json"]
        with (self.folder / "provider.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["node", installed() / "index.mjs", *words], stdout=log, stderr=log
            )
        ends = time.monotonic() + STARTED
        while True:
            try:
                requests.get(
                    f"{self.issuer}/.well-known/openid-configuration", timeout=5
                ).raise_for_status()
            except requests.RequestException as error:
                if time.monotonic() > ends or self._process.poll() is not None:
                    log = (self.folder / "provider.log").read_text()
                    raise AssertionError(f"the provider does not answer: {log}") from error
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None


def installed() -> Path:
    """The provider with what it needs, as the lock file says; kept for the next time."""
    lock = (HERE / "package-lock.json").read_bytes()
    kept = paths.cache_dir() / "test-login" / hashlib.sha256(lock).hexdigest()[:12]
    if not (kept / "node_modules").is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder)
            done = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=folder,
                env={**os.environ, "NODE_ENV": "production"},
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            shutil.copytree(folder, kept, dirs_exist_ok=True)
    shutil.copy(HERE / "index.mjs", kept)
    return kept
