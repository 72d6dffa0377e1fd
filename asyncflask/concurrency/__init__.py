"""Where code runs: the event loop, the worker threads, and the ways between them.

``awaitable``  one accessor for ``async def`` code (an awaitable) and ``def`` code (a value)
``pool``       worker threads, their queue and their limits
``tasks``      what outlives the code that began it
``journey``    a coroutine that runs partly on the loop and partly in one worker
``iterate``    a sync iterable pulled in a thread; the end of iterables of both kinds
``loop_thread``  a thread with an event loop, for threads that have none
"""

from __future__ import annotations

from asyncflask.concurrency.awaitable import Pending as Pending
from asyncflask.concurrency.awaitable import Ready as Ready
from asyncflask.concurrency.awaitable import ReadyBytes as ReadyBytes
from asyncflask.concurrency.awaitable import ReadyStr as ReadyStr
from asyncflask.concurrency.awaitable import awaited as awaited
from asyncflask.concurrency.awaitable import is_async_callable as is_async_callable
from asyncflask.concurrency.awaitable import resolve as resolve
from asyncflask.concurrency.awaitable import running_loop as running_loop
from asyncflask.concurrency.iterate import OpenedIterator as OpenedIterator
from asyncflask.concurrency.iterate import PiecewiseIterator as PiecewiseIterator
from asyncflask.concurrency.iterate import ThreadedIterator as ThreadedIterator
from asyncflask.concurrency.iterate import aclose_iterable as aclose_iterable
from asyncflask.concurrency.iterate import close_iterable as close_iterable
from asyncflask.concurrency.journey import Detour as Detour
from asyncflask.concurrency.journey import Journey as Journey
from asyncflask.concurrency.journey import in_worker as in_worker
from asyncflask.concurrency.journey import on_loop as on_loop
from asyncflask.concurrency.loop_thread import LoopThread as LoopThread
from asyncflask.concurrency.pool import Worker as Worker
from asyncflask.concurrency.pool import WorkerPool as WorkerPool
from asyncflask.concurrency.pool import wait_for as wait_for
from asyncflask.concurrency.tasks import finish as finish
from asyncflask.concurrency.tasks import keep_going as keep_going
from asyncflask.concurrency.tasks import of_this_loop as of_this_loop
from asyncflask.concurrency.tasks import wait_for_stragglers as wait_for_stragglers
