"""Where a model is: the addresses that can be fetched, and what each is to MLflow."""

import re
from dataclasses import dataclass

NAME = r"[^/:@?#]+"
BUCKET = r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"
FORMS = {
    "models:/name/7": rf"models:/{NAME}/[0-9]+",
    "models:/name@alias": rf"models:/{NAME}@{NAME}",
    "models:/m-id": r"models:/m-[0-9a-f]+",
    "runs:/run/folder": rf"runs:/[0-9a-f]{{32}}(/{NAME})+",
    "s3://bucket/folder": rf"s3://{BUCKET}(/[^/?#]+)+",
    "gs://bucket/folder": rf"gs://{BUCKET}(/[^/?#]+)+",
}


@dataclass(frozen=True, kw_only=True)
class Address:
    """One model, as MLflow's repositories of artifacts take it."""

    uri: str
    """As it was given, without a slash at its end."""
    root: str
    """What the repository is of."""
    folder: str = ""
    """The model's within that; nothing where the root is the model."""

    @property
    def tracked(self) -> bool:
        """Whether the tracking server has it, and not a bucket."""
        return self.uri.startswith(("models:", "runs:"))


def parse(text: str) -> Address:
    """The address, or an error that lists the forms there are."""
    uri = text.strip().rstrip("/")
    if not any(re.fullmatch(form, uri) for form in FORMS.values()):
        raise ValueError(f"{_shown(uri)!r} is no address of a model: write {', '.join(FORMS)}")
    if ".." in uri.split("/"):
        raise ValueError(f"{uri!r} is no address of a model: it has '..' in it")
    if uri.startswith("runs:/"):
        run, _, folder = uri.removeprefix("runs:/").partition("/")
        return Address(uri=uri, root=f"runs:/{run}", folder=folder)
    return Address(uri=uri, root=uri)


def _shown(uri: str) -> str:
    """Without what may be a key: in front of an @ behind ://, or behind a question mark."""
    return re.sub(r"\?.*", "?…", re.sub(r"://[^/]*@", "://…@", uri))
