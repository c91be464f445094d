"""A stack file that was written for another rig is refused before anything starts."""

import pytest

from rig.errors import RigError
from rig.platform import check_nodes

OURS = "10.90.0.2"


def settings(nodes):
    return {"spillway:cluster": {"network": {"nodes": nodes}}}


@pytest.mark.parametrize(
    "fine", [{}, {"spillway:cluster": None}, settings("10.90.0.2/32"), settings("10.90.0.0/16")]
)
def test_nodes_that_are_this_rigs_or_nobodys_pass(fine):
    check_nodes(fine, OURS, "Pulumi.dev.yaml")


def test_another_rigs_nodes_are_told_with_what_to_write():
    with pytest.raises(RigError, match=r"nodes is 10\.90\.0\.2/32.*put 10\.91\.0\.2/32.*dev\.yaml"):
        check_nodes(settings("10.90.0.2/32"), "10.91.0.2", "Pulumi.dev.yaml")


def test_what_is_no_network_is_left_to_the_program():
    check_nodes(settings("nonsense"), OURS, "Pulumi.dev.yaml")
