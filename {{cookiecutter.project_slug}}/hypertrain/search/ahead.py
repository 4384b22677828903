"""A search that thinks while trials run, so that no free worker waits for it."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from threading import Thread
from time import monotonic

from hypertrain.search.axes import Point
from hypertrain.search.search import Search

SHARE = 0.05
"""Of a trial's time, what a worker waits for a suggestion that knows of the one that just ended."""


class Ahead(Search):
    """Another search, in a thread of its own.

    Each suggestion is followed by the next one, from what is then known and pending. A worker that
    asks takes it, unless one that knows more is there in time.
    """

    def __init__(self, search: Search) -> None:
        self._search, self.size = search, search.size
        self._thread = ThreadPoolExecutor(1, "search")
        self._next: tuple[int, Future[Point | None]] | None = None
        self._news: list[Callable[[], None]] = []
        self._asked: dict[int, float] = {}
        self._patience = 0.0
        self._prepared = False

    def ask(self, number: int) -> Point | None:
        earlier = self._next[1] if self._next and self._next[0] == number else None
        latest = self._think(number) if self._news or earlier is None else earlier
        if earlier and not wait([latest], self._patience).done:
            latest = earlier
        point = latest.result()
        self._asked[number] = monotonic()
        if point is not None:
            self.restore(number, point)
            self._next = number + 1, self._think(number + 1)
        return point

    def tell(self, number: int, value: float | None) -> None:
        self._news.append(partial(self._search.tell, number, value))
        if (asked := self._asked.get(number)) is not None:
            self._patience = SHARE * (monotonic() - asked)
        if not self._prepared:
            self._prepared = True
            Thread(target=self._search.prepare, name="imports of the search").start()

    def restore(self, number: int, point: Point) -> None:
        self._news.append(partial(self._search.restore, number, point))

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _think(self, number: int) -> Future[Point | None]:
        news, self._news = self._news, []

        def suggest() -> Point | None:
            for note in news:
                note()
            return self._search.suggest(number)

        return self._thread.submit(suggest)
