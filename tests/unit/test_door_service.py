"""The Service of the front door: what an ``up`` waits for."""

import builders
import pytest
from recording import recorded


@pytest.mark.parametrize(
    ("ports", "annotation"),
    [
        (None, {"pulumi.com/waitFor": "jsonpath={.status.loadBalancer.ingress[0]}"}),
        ((30080, 30443), {"pulumi.com/skipAwait": "true"}),
    ],
)
def test_a_load_balancer_is_waited_for_until_it_has_an_address(ports, annotation):
    made = recorded(lambda: builders.front_door(node_ports=ports).urn)

    service = made.named("front-door-release")["values"]["service"]
    assert service["annotations"] == annotation
