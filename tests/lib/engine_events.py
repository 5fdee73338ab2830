"""The events of containers as they came, and whether that is what containerd's API promises.

Of a container: create, start, exit, delete; between start and exit paused and resumed by turns; of each process that is
executed in it exec-added, exec-started and its exit, which is there before the container's own. The same one twice comes only when the
listener has gone away in between.
"""

from dataclasses import dataclass, field

# Where a container's id, a process's, its pid and status are in what is told.
EXECS = {"/tasks/exec-added", "/tasks/exec-started"}


@dataclass
class Track:
    """One container's way, as it is told; each step says what is wrong with it."""

    topics: list = field(default_factory=list)
    told: dict = field(default_factory=dict)  # (topic, exec_id): fields
    is_paused: bool = False

    def has(self, topic, exec_id=""):
        return (f"/tasks/{topic}", exec_id) in self.told

    def count(self, topic):
        return sum(one == f"/tasks/{topic}" for one, _ in self.topics)

    def take(self, topic, exec_id, fields):
        self.topics.append((topic, exec_id))
        kind = topic.rpartition("/")[2]
        check = getattr(self, f"_{kind.replace('-', '_')}", None)
        assert check is not None, f"an event of a kind that isn't expected: {topic}"
        assert check(exec_id), f"out of its order: {self.topics}"
        assert kind in ("paused", "resumed") or (topic, exec_id) not in self.told, f"twice: {self.topics}"
        self.told[topic, exec_id] = fields

    def _create(self, _):
        return len(self.topics) == 1

    def _lives(self):
        return self.has("create") and not self.has("exit") and not self.has("delete")

    def _start(self, _):
        return self._lives()

    def _paused(self, _):
        self.is_paused = not self.is_paused
        return self._lives() and self.has("start") and self.is_paused

    def _resumed(self, _):
        self.is_paused = not self.is_paused
        return self._lives() and self.has("start") and not self.is_paused

    def _exec_added(self, _):
        return self._lives()

    def _exec_started(self, exec_id):
        return self._lives() and self.has("exec-added", exec_id)

    def _exit(self, exec_id):
        if exec_id:
            return self._lives() and self.has("exec-started", exec_id)
        started = {name for topic, name in self.told if topic == "/tasks/exec-started"}
        return self._lives() and all(self.has("exit", name) for name in started)

    def _delete(self, _):
        return self.has("exit") and not self.has("delete")


class Watch:
    """Reads what a listener has seen, and hands on to each container's tracks: one for each of its lives."""

    def __init__(self, events, space):
        self.events, self.space, self.at, self.last, self.tracks, self.twice = events, space, 0, None, {}, 0
        self.quiet = set()  # (name, how many lives before) of which nothing is told

    def read(self):
        """What has come since: [(name, how many lives before, topic, exec_id, fields)]."""
        found = []
        while self.at < len(self.events.seen):
            (topic, space, fields), time = self.events.seen[self.at], self.events.times[self.at]
            self.at += 1
            assert space == self.space, (topic, space)
            if self.last is not None and self.last[0] == (topic, fields):
                assert self.last[1] != time, f"told twice, and nobody had gone away: {topic} {fields}"
                self.twice += 1
                continue
            self.last = (topic, fields), time
            found.append(self._hand_on(topic, fields))
        return found

    def _hand_on(self, topic, fields):
        name = fields[1][0].decode()
        exec_id = fields[2][0].decode() if topic in EXECS or topic == "/tasks/exit" else ""
        lives = self.tracks.setdefault(name, [])
        while not lives or lives[-1].has("delete") or (name, len(lives) - 1) in self.quiet:
            lives.append(Track())
        exec_id = "" if exec_id == name else exec_id
        lives[-1].take(topic, exec_id, fields)
        return name, len(lives) - 1, topic, exec_id, fields


def exit_of(fields, is_delete=False):
    """Pid, status and time of an event's fields, as Wait, State and Delete tell them."""
    pid, status, at = (2, 3, 4) if is_delete else (3, 4, 5)
    return number(fields, pid), number(fields, status), fields[at][0]


def number(fields, key):
    return fields.get(key, [0])[0]

