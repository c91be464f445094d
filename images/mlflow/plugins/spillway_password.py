"""Lets SQLAlchemy connect with a password that AWS Secrets Manager keeps and RDS changes.

A URL with `?plugin=spillway_password` and no password gets it from the secret that
$SPILLWAY_DATABASE_SECRET names, which the pod may read by its own identity. RDS changes it every
week: a connection that is refused asks again, and tries once more if there is a new one.
"""

import json
import os
import threading
from typing import Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import CreateEnginePlugin

SECRET = "SPILLWAY_DATABASE_SECRET"


class Password:
    """The value of the secret as it was last read."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._lock = threading.Lock()
        self._value = ""

    def value(self) -> str:
        with self._lock:
            if not self._value:
                self._value = self._read()
            return self._value

    def changed(self, used: str) -> bool:
        """Whether there is another one than that which was used; reads the secret again."""
        with self._lock:
            if self._value == used:
                self._value = self._read()
            return self._value != used

    def _read(self) -> str:
        import boto3  # slow to import, and only clouds need it

        answer = boto3.client("secretsmanager").get_secret_value(SecretId=self._secret)
        return json.loads(answer["SecretString"])["password"]


class Plugin(CreateEnginePlugin):
    """What `plugin=spillway_password` in a URL stands for."""

    def update_url(self, url: URL) -> URL:
        return url  # without `plugin` by now

    def engine_created(self, engine: Engine) -> None:
        if SECRET not in os.environ:
            raise RuntimeError(f"plugin=spillway_password needs ${SECRET}: the ARN of the secret")
        password = Password(os.environ[SECRET])

        def connect(dialect: Any, _: Any, arguments: Any, keywords: dict[str, Any]) -> Any:
            used = password.value()
            try:
                return dialect.connect(*arguments, **{**keywords, "password": used})
            except dialect.loaded_dbapi.OperationalError:
                if not password.changed(used):
                    raise
                return dialect.connect(*arguments, **{**keywords, "password": password.value()})

        event.listen(engine, "do_connect", connect)
