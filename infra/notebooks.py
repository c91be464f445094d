"""The hub of a stack: who logs in how, and what he may start in which team."""

from collections.abc import Mapping

import pulumi

from components import network
from components.door import gateway_pods
from components.hub import JupyterHub, JupyterHubArgs, Login, Servers, Team
from components.mlflow import PORT as TRACKING_PORT
from components.mlflow import Mlflow, consumer
from infra import people, teams
from infra.clouds import HUB, TRACKING, Foundation
from infra.images import tagged, team_image
from infra.people import Provider
from infra.pools import BURST_SECONDS, burst_pools
from infra.profiles import allowed, profiles, widest
from infra.settings import Settings, encrypted
from infra.spawn_page import held, pools

NOTEBOOK, SPARK = "notebook", "notebook-spark"


def build(  # noqa: PLR0913, PLR0917 - what a hub stands on
    settings: Settings,
    login: people.Login,
    namespace: pulumi.Output[str],
    foundation: Foundation,
    tracking: Mlflow,
    built: Mapping[str, teams.Team],
    opts: pulumi.ResourceOptions,
) -> JupyterHub:
    """The hub, and with it the proxy and the experiments page."""
    images, notebooks = settings.images, settings.notebooks
    crews = {name: _team(name, settings, team, foundation) for name, team in built.items()}

    def image(name: str) -> pulumi.Output[str]:
        return pulumi.Output.concat(foundation.registry, "/", tagged(images, name))

    return JupyterHub(
        HUB,
        JupyterHubArgs(
            namespace=namespace,
            image=image("hub"),
            proxy_image=image("proxy"),
            pull_policy=images.pull_policy,
            login=_login(login),
            login_secret=None
            if login.provider is Provider.DUMMY
            else encrypted(settings.login_client_secret),
            teams=crews,
            profiles=profiles(settings),
            pools=pools(settings),
            servers=Servers(
                home_size=notebooks.home_size,
                storage_class=settings.storage.class_name,
                start_seconds=patience(settings),
                named=notebooks.named_servers,
                server_minutes=notebooks.idle.server_minutes,
                kernel_minutes=notebooks.idle.kernel_minutes,
                pull_policy=images.pull_policy,
            ),
            database=foundation.hub_database(image("hub")),
            tracking=consumer(namespace, TRACKING),
            tracking_uri=tracking.tracking_uri,
            tracking_port=TRACKING_PORT,
            api_server=network.to_api_server(settings.cluster.network.nodes),
            node_port=notebooks.node_port,
            pod_network=settings.cluster.network.pods,
            callers=[gateway_pods()] if settings.domain else (),
            pull=_pulled(settings, foundation) if notebooks.pre_pull else (),
            protect=settings.protects(HUB),
        ),
        opts,
    )


def _login(login: people.Login) -> Login:
    return Login(
        provider=login.provider.value,
        client_id=login.client_id,
        hosted_domain=login.hosted_domain,
        organizations=login.organizations,
        issuer=login.issuer,
        username_claim=login.username_claim,
        groups_claim=login.groups_claim,
        scopes=login.scopes,
    )


def _team(name: str, settings: Settings, team: teams.Team, foundation: Foundation) -> Team:
    tenant = settings.tenants[name]
    return Team(
        namespace=team.tenant.namespace,
        members=tenant.members,
        admins=tenant.admins,
        profiles=allowed(settings, name),
        notebook=_image(name, NOTEBOOK, settings, foundation),
        spark=_image(name, SPARK, settings, foundation),
        storage=team.storage,
        gpus=held(settings, name),
        spark_gpus=widest(settings, tenant),
    )


def _image(tenant: str, base: str, settings: Settings, foundation: Foundation) -> pulumi.Input[str]:
    team = settings.tenants[tenant]
    if team.image:
        return team.image
    image = team_image(base, team.requirements) if team.requirements else None
    own = image or tagged(settings.images, base)
    return pulumi.Output.concat(foundation.registry, "/", own)


def _pulled(settings: Settings, foundation: Foundation) -> list[pulumi.Input[str]]:
    """Every image that a team's profiles run, once."""
    known = profiles(settings)
    named = {
        team.image or team_image(base, team.requirements): _image(name, base, settings, foundation)
        for name, team in settings.tenants.items()
        for base in sorted(
            {SPARK if known[one].spark else NOTEBOOK for one in allowed(settings, name)}
        )
    }
    return list(named.values())


def patience(settings: Settings) -> int:
    """Seconds until a server that is not up is given up: more than a cloud takes for a machine."""
    least = BURST_SECONDS if burst_pools(settings) else 0
    return max(settings.notebooks.start_seconds, least)
