"""Of the simulation's queue: its own times go by as fast as the trace."""

from components.cluster.queue import AGAIN_SECONDS, READY_SECONDS, configuration
from rig.simulation.queue import AS_EVER, faster


def test_work_without_a_machine_loses_its_place_after_the_same_time_of_the_trace():
    stack = configuration()
    waits = faster(stack, 60)["waitForPodsReady"]
    assert waits["timeout"] == f"{READY_SECONDS / 60 + AS_EVER:g}s"
    assert waits["recoveryTimeout"] == f"{AGAIN_SECONDS / 60 + AS_EVER:g}s"
    assert waits["requeuingStrategy"]["backoffBaseSeconds"] == 1
    assert waits["requeuingStrategy"]["backoffMaxSeconds"] == 300 / 60
    assert waits["requeuingStrategy"]["timestamp"] == "Eviction"


def test_all_else_of_the_queue_is_the_stacks():
    stack = configuration()
    assert faster(stack, 1) == stack
    assert {**faster(stack, 60), "waitForPodsReady": None} == {**stack, "waitForPodsReady": None}
