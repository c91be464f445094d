"""The end of the program waits for all, and for nobody once something failed."""

import asyncio

from infra.settle import settle


def test_it_waits_for_what_was_begun_and_for_what_that_began():
    done, tasks = [], []

    async def second():
        await asyncio.sleep(0)
        done.append("second")

    async def first():
        await asyncio.sleep(0)
        tasks.append(asyncio.ensure_future(second()))
        done.append("first")

    async def program():
        tasks.append(asyncio.ensure_future(first()))
        await settle()
        return list(done)

    assert asyncio.run(program()) == ["first", "second"]


def test_after_a_failure_it_waits_for_nobody():
    async def fails():
        raise ValueError

    async def program():
        never = asyncio.ensure_future(asyncio.Event().wait())
        failed = asyncio.ensure_future(fails())
        await settle()
        return failed.done() and not never.done()

    assert asyncio.run(asyncio.wait_for(program(), 5))
