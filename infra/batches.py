"""The section of a stack's settings about tables that are scored with a model."""

from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from components.batch import NAME_LENGTH
from infra import cron
from infra.models import Cores, Gpu, Memory, Resources, Uri
from infra.sections import NamespaceName, Section, setting

BatchName = Annotated[
    str, StringConstraints(pattern=rf"^[a-z]([-a-z0-9]{{0,{NAME_LENGTH - 2}}}[a-z0-9])?$")
]
NAMES = f"lower-case letters, digits and '-', at most {NAME_LENGTH}, the first a letter"
Folder = Annotated[str, StringConstraints(pattern=r"^(s3|gs)://[^/\s]+(/[^/\s]+)+/?$")]
FOLDERS = "s3://BUCKET/FOLDER/ or gs://BUCKET/FOLDER/"
Schedule = Annotated[str, AfterValidator(cron.schedule)]


class BatchResources(Resources):
    """What scoring may use."""

    cpu: Cores = setting(0.5, "Cores it asks for.", "a number from 0.05 to 256")
    memory: Memory = setting(
        "1Gi",
        "Most memory: what the model takes, and some copies of 100,000 rows.",
        "a Kubernetes quantity of at least 128Mi, such as 1Gi",
    )


class Batch(Section):
    """A table to be scored with a model, once or by a schedule."""

    tenant: NamespaceName = setting(
        ..., "The team whose model and whose bucket it is.", "one of spillway:tenants"
    )
    model: Uri = setting(
        ...,
        "Where the model is: in MLflow's registry, in a run, or in the tenant's bucket.",
        "one of models:/NAME/VERSION, models:/NAME@ALIAS, runs:/RUN/FOLDER, s3://BUCKET/FOLDER, "
        "gs://BUCKET/FOLDER",
    )
    input: Folder = setting(
        ..., "Folder of Parquet and CSV files in the tenant's part of the bucket.", FOLDERS
    )
    output: Folder = setting(
        ..., "Folder there for the same rows with predictions.", f"{FOLDERS}; not that of the input"
    )
    schedule: Schedule | None = setting(
        None, "When new files are scored; without it, once and now.", cron.ALLOWED
    )
    resources: BatchResources = setting(
        BatchResources(), "What scoring may use.", "a map with: cpu, memory"
    )
    gpu: Gpu | None = setting(
        None, "GPUs that scoring may use.", "a map with: accelerator, count, image"
    )
