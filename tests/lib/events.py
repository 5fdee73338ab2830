"""Listening to events: `cloister events`."""

import json
import os
import re

from lib.runner import Running, poll


class Listener(Running):
    """cloister events on its way; made when it listens."""

    def __init__(self, cloister, *words):
        before = fifos(cloister)
        super().__init__(cloister.argv("events", *words), env=cloister.environment(), cwd="/")
        poll(lambda: fifos(cloister) - before, 20, "it doesn't listen")

    def lines(self):
        return [json.loads(line) for line in self.out.decode().splitlines(keepends=True) if line.endswith("\n")]

    def until(self, count):
        """At least so many lines; all of them."""
        poll(lambda: self.out.count(b"\n") >= count, 20, lambda: f"{self.out.decode()}{self.err.decode()}")
        return self.lines()

    def until_event(self, event, **fields):
        def there():
            return [one for one in self.lines() if one["event"] == event and fields.items() <= one.items()]
        return poll(there, 20, lambda: f"no {event} {fields} in {self.out.decode()}")[0]


def fifos(cloister):
    place = cloister.state() / "events"
    return {name for name in os.listdir(place) if re.fullmatch("[0-9a-f]{16}", name)} if place.exists() else set()
