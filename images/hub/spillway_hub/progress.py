"""What the cluster says about a pod, in words for the person who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

HOPELESS = {
    "ErrImagePull": "its image cannot be fetched",
    "ImagePullBackOff": "its image cannot be fetched",
    "ErrImageNeverPull": "its image is not on the node",
    "InvalidImageName": "the name of its image is wrong",
    "CreateContainerConfigError": "its configuration is incomplete",
    "CreateContainerError": "its container cannot be made",
    "CrashLoopBackOff": "it ends as soon as it starts",
    "RunContainerError": "its container cannot run",
}
"""Reasons of a waiting container that rarely go away by themselves."""
WORDS = {
    "Scheduled": "A machine was found for your server",
    "Pulling": "Fetching the image, which this machine does not have yet",
    "Pulled": "The image is there",
    "Created": "Your server is made",
    "Started": "Your server starts; this takes a few seconds",
    "SuccessfulAttachVolume": "Your home directory is attached",
    "ProvisioningSucceeded": "Your home directory is made",
    "TriggeredScaleUp": "All machines are busy: another one is being started",
    "NotTriggerScaleUp": "No machine of the right kind can be added now",
    "Preempting": "Making room",
}


def explain(event: Mapping[str, Any]) -> str:
    """One sentence, or nothing for what only operators care about."""
    reason, message = str(event.get("reason", "")), str(event.get("message", ""))
    if reason in WORDS:
        return WORDS[reason]
    if reason == "FailedScheduling":
        return f"Waiting for room: {shortages(message)}"
    if event.get("type") == "Warning" and reason not in ("Unhealthy",):
        return f"{reason}: {message}"
    return ""


def shortages(message: str) -> str:
    """``0/3 nodes are available: 2 Insufficient memory, 1 …`` without the arithmetic."""
    found = [
        words
        for part, words in (
            ("Insufficient cpu", "too few free cores"),
            ("Insufficient memory", "too little free memory"),
            ("Insufficient nvidia.com/gpu", "no free GPU"),
            ("unbound", "the home directory is being made"),
        )
        if part in message
    ]
    # Machines of other kinds are no news where one of this kind is up, and full.
    if not found and "didn't match Pod's node affinity/selector" in message:
        found = ["no machine of this kind is up"]
    return ", ".join(found) or message.partition(".")[0]


def hopeless(pod: Mapping[str, Any] | None) -> str | None:
    """Why a pod will not start, if its containers say so."""
    status = (pod or {}).get("status") or {}
    for container in (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if reason := HOPELESS.get(waiting.get("reason", "")):
            image, said = container.get("image", ""), waiting.get("message", "")
            return f"Your server cannot start: {reason} ({image}). The cluster says: {said}"
    return None


async def paced(steps: AsyncIterator[T], seconds: float) -> AsyncIterator[T | None]:
    """The steps as they come, and None after so many seconds without one."""
    following = asyncio.ensure_future(anext(steps))
    try:
        while True:
            done, _ = await asyncio.wait({following}, timeout=seconds)
            if not done:
                yield None
                continue
            try:
                step = following.result()
            except StopAsyncIteration:
                return
            following = asyncio.ensure_future(anext(steps))
            yield step
    finally:
        following.cancel()
