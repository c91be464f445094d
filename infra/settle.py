"""The end of the program: wait for all that it began, before the SDK does."""

import asyncio


async def settle() -> None:
    """Return when every resource is registered and every output known, or when one failed.

    The SDK waits too, but for the first of all outstanding outputs, again and again (pulumi 3.259,
    ``wait_for_rpcs``): with n resources it looks at n² outputs, which a hundred tenants feel. What
    failed it reports itself.
    """
    own = asyncio.current_task()
    while others := asyncio.all_tasks() - {own}:
        done, _ = await asyncio.wait(others, return_when=asyncio.FIRST_EXCEPTION)
        if any(task.exception() for task in done):
            return
