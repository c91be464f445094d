"""The tables of a stack that are scored with a model: a Job or a schedule for each."""

from collections.abc import Mapping

import pulumi

from components import Mlflow
from components.batch import BatchScoring, BatchScoringArgs
from infra.clouds import Foundation
from infra.serving import gpus, images, on_gpus
from infra.settings import Settings
from infra.teams import Team


def build(
    settings: Settings,
    foundation: Foundation,
    mlflow: Mlflow,
    teams: Mapping[str, Team],
    opts: pulumi.ResourceOptions,
) -> None:
    """Every one that the stack file names."""
    run = images(settings, foundation)
    for name, batch in settings.batch.items():
        team = teams[batch.tenant]
        BatchScoring(
            f"batch-{name}",
            BatchScoringArgs(
                batch=name,
                namespace=team.tenant.namespace,
                tenant=batch.tenant,
                model=batch.model,
                input=batch.input,
                output=batch.output,
                schedule=batch.schedule,
                images=on_gpus(run, batch.gpu),
                tracking_uri=mlflow.tracking_uri,
                storage=team.storage,
                cpu=batch.resources.cpu,
                memory=batch.resources.memory,
                gpus=gpus(batch.gpu),
            ),
            opts,
        )
