"""An engine that restarts, by a seed: what it asks of a shim or of cloisterd, and whether all that it hears can be true.

    Simulation(OfShim(pod), seed, steps, watch).run()

The sequence of what is done is the seed's alone; what comes of it isn't, as containers end when they like. lib/engine_model.py
knows what may be answered, lib/engine_events.py what has to be told. While containerd is away nobody listens to events; its
connections break in the middle of calls.
"""

import random
import select
from dataclasses import dataclass, field

from lib import engine_events
from lib.engine_events import number
from lib.engine_model import KILL, NOT_FOUND, OK, STOPPED, TERM, USR1, WINCH, Life
from lib.runner import poll

CONNECTIONS, NAMES, KEPT_MOST, WAITS_MOST, DROPS_MOST, EXECS_MOST = 3, 5, 3, 3, 2, 2


@dataclass(eq=False)
class Open:
    """A call whose answer we haven't heard."""

    run: "Run"
    call: object
    connection: object
    stream: int


@dataclass(eq=False)
class Run:
    """One life of a name: what may be true of it, what was heard, and what whoever knows no answers takes it for."""

    life: Life
    number: int  # of the name's lives
    nominal: str = "new"
    execs: dict = field(default_factory=dict)  # what they are taken for
    waits: int = 0
    drops: int = 0  # calls of it whose connection has broken
    is_deleted: bool = False  # maybe: that was asked for
    pids: dict = field(default_factory=dict)
    ends: dict = field(default_factory=dict)  # (status, time) of each process
    counts: dict = field(default_factory=dict)  # of answers OK and of dropped calls, by method


class Simulation:
    def __init__(self, engine, seed, steps):
        self.engine, self.seed, self.steps, self.random = engine, seed, steps, random.Random(seed)
        self.watch = engine_events.Watch(engine.events, engine.space)
        self.runs, self.done, self.is_away = {}, 0, False
        self.names = [f"c{number}" for number in range(NAMES)]  # in use; those of whom a call was dropped are left for the end
        self.next_name = NAMES
        self.open = []  # answers that we haven't heard,
        self.kept = []  # and those that we haven't heard as far as the seed knows
        self.connections = [engine.connect() for _ in range(CONNECTIONS)]
        self.refused_at = -1

    def run(self):
        try:
            for self.done in range(self.steps):
                self.step()
                self.listen()
            self.finish()
            print(f"{len(self.watch.events.seen)} events, {self.watch.twice} of them once more; {sum(map(len, self.runs.values()))} containers")
        except AssertionError as why:
            raise AssertionError(f"seed {self.seed}, step {self.done} of {self.steps}: {why}") from why

    # --- what is heard

    def listen(self):
        """All that has come: answers, and events."""
        while True:
            clients = {connection.client.socket: connection.client for connection in self.connections if any(o.connection is connection for o in self.open)}
            ready, _, _ = select.select(list(clients), [], [], 0)
            for socket in ready:
                stream, *rest = clients[socket].receive()
                clients[socket].answers[stream] = rest
            if not ready:
                break
        for one in [one for one in self.open if one.stream in one.connection.client.answers]:
            self.take(one)
        self.see_events()

    def take(self, one):
        """Waits for the answer: its code."""
        if one not in self.open:
            return None
        self.open.remove(one)
        code, why, fields = one.connection.client.end(one.stream)
        assert code == OK or why, f"{one.call} was refused without a word"
        run, call = one.run, one.call
        if code == OK:
            self.count(run, call)
        answer = code
        if code == OK and call.method == "Wait":
            answer = "ended", number(fields, 1)
            self.note(run, call.exec_id, 0, (number(fields, 1), fields[2][0]))
        elif code == OK and call.method == "State":
            status = fields[4][0]
            answer = status, number(fields, 9) if status == STOPPED else None
            assert status == STOPPED or 10 not in fields, fields
            self.note(run, call.exec_id, number(fields, 3), (number(fields, 9), fields[10][0]) if status == STOPPED else None)
        elif code == OK and call.method == "Delete":
            answer = "deleted", number(fields, 2)
            if number(fields, 1):
                self.note(run, call.exec_id, number(fields, 1), (number(fields, 2), fields[3][0]))
            elif not call.exec_id:  # it was still being created
                self.watch.quiet.add((run.life.name, run.number))
        run.life.end(call, answer)
        if code == OK and call.method in ("Create", "Start"):
            assert fields[1][0] > 0
            self.note(run, call.exec_id, fields[1][0], None)
        return code

    @staticmethod
    def count(run, call, word=""):
        key = f"{word}{call.method}{' exec' if call.exec_id and call.method != 'Exec' else ''}"
        run.counts[key] = run.counts.get(key, 0) + 1

    def note(self, run, exec_id, pid, end):
        """A process's number, and how it ended: whoever says it says the same."""
        if pid:
            pids = run.pids.setdefault(exec_id, set())
            pids.add(pid)
            assert len(pids) <= self.engine.pids_most, f"{run.life}\nprocess {exec_id!r} has the numbers {pids}"
        if end is not None:
            assert run.ends.setdefault(exec_id, end) == end, f"{run.life}\nprocess {exec_id!r}: it ended as {run.ends[exec_id]}, and now as {end}"

    def see_events(self):
        for name, life, topic, exec_id, fields in self.watch.read():
            kind = topic.rpartition("/")[2]
            run = self.runs[name][life]
            if kind in ("exit", "delete"):
                pid, *end = engine_events.exit_of(fields, kind == "delete")
                self.note(run, exec_id, pid, tuple(end))
                phases = ("stopped", "gone") if kind == "exit" else ("gone",)
                run.life.saw(f"the event {kind} {exec_id}", lambda state, exec_id=exec_id, phases=phases: state.process(exec_id).phase in phases)
            elif kind in ("start", "exec-started"):
                self.note(run, exec_id, number(fields, 2 if kind == "start" else 3), None)
                run.life.saw(f"the event {kind} {exec_id}", lambda state, exec_id=exec_id: state.process(exec_id).phase in ("running", "stopped", "gone"))
            elif kind == "create":
                self.note(run, "", number(fields, 6), None)
                run.life.saw("the event create", lambda state: state.first.phase not in ("absent", "making"))

    # --- what is asked

    def ask(self, run, method, connection=None, is_kept=False, **more):
        connection = connection or self.random.choice(self.connections)
        call = run.life.begin(method, **more)
        one = Open(run, call, connection, connection.begin(method, self.engine.message(run.life.name, call, run.life.kinds)))
        self.open.append(one)
        if not is_kept:
            return self.take(one)
        if method not in ("State", "Wait"):
            self.kept.append(one)
        return None

    def collect(self, run, waits=False):
        """All answers that are still to come; those of Wait where its end has come."""
        self.kept = [one for one in self.kept if one.run is not run]
        for one in [one for one in self.open if one.run is run and (waits or one.call.method != "Wait")]:
            self.take(one)

    def step(self):
        word = self.random.choices(["ask", "collect", "away", "refuse", "drop", "restart"], [84, 6, 4, 2, 2, 2])[0]
        if word == "collect" and self.runs:
            self.collect(self.pick()[-1])
        elif word == "away":
            self.back() if self.is_away else self.leave()
        elif word == "refuse":
            self.refuse()
        elif word == "drop":
            self.ask_something()
            self.drop(self.random.randrange(CONNECTIONS))
        elif word == "restart":
            self.restart()
        else:
            self.ask_something()

    def leave(self):
        self.is_away = True
        self.engine.events.end()

    def back(self):
        self.is_away = False
        self.engine.events.begin()

    def refuse(self):
        """A few, and none of them so often that it is given up."""
        many = self.random.randint(1, 3)
        if not self.engine.events.refusals and len(self.engine.events.seen) > self.refused_at:
            self.engine.events.refusals, self.refused_at = many, len(self.engine.events.seen)

    def drop(self, at):
        """A connection breaks: whoever has asked by it hears nothing."""
        old = self.connections[at]
        for one in [one for one in self.open if one.connection is old]:
            self.open.remove(one)
            one.run.life.drop(one.call)
            if one.call.method not in ("State", "Wait"):
                self.count(one.run, one.call, "dropped ")
        for one in [one for one in self.kept if one.connection is old]:
            self.kept.remove(one)
            one.run.drops += 1
        old.client.socket.close()
        self.connections[at] = self.engine.connect()

    def restart(self):
        """containerd is killed, and another one asks what there is."""
        if not self.is_away:
            self.leave()
        for at in range(CONNECTIONS):
            self.drop(at)
        for name in self.names:
            if name in self.runs:
                self.ask(self.runs[name][-1], "State")
        self.back()

    def pick(self):
        return self.runs[self.random.choice([name for name in self.names if name in self.runs])]

    def ask_something(self):
        name = self.random.choice(self.names)
        runs = self.runs.setdefault(name, [])
        if not runs or (runs[-1].nominal == "ended" and self.random.random() < 0.7):
            kind = self.random.choice(self.engine.kinds)
            self.engine.prepare(name, kind)
            runs.append(Run(Life(name, kind, self.engine.rules), len(runs)))
        run = runs[-1]
        if sum(one.run is run for one in self.kept) >= KEPT_MOST:
            self.collect(run)
        is_kept = self.random.random() < 0.4 and run.drops < DROPS_MOST
        getattr(self, f"ask_{self.choose(run)}")(run, is_kept)

    def choose(self, run):
        """What makes sense as a rule; and sometimes what doesn't."""
        likely = {"new": {"create": 1},
                  "created": {"start": 12, "exec": 3, "kill": 1, "delete": 1, "wait": 3, "state": 2, "resume": 1},
                  "running": {"exec": 6, "pause": 3, "kill": 3, "state": 3, "wait": 3, "end": 4, "delete": 1, "start": 1, "until_end": 2, "create": 1},
                  "paused": {"resume": 6, "state": 2, "kill": 1, "exec": 2, "pause": 1, "end": 1, "wait": 1},
                  "killed": {"delete": 3, "state": 1, "wait": 1, "kill": 1, "exec": 1, "end": 2},
                  "ended": {"state": 1, "kill": 1, "wait": 1, "delete": 1}}[run.nominal]
        return self.random.choices(list(likely), list(likely.values()))[0]

    def exec_id(self, run, share=0.3):
        """Maybe one of its processes in the first one's place."""
        return self.random.choice(sorted(run.execs)) if run.execs and self.random.random() < share else ""

    def ask_create(self, run, is_kept):
        if run.nominal != "new" and (run.is_deleted or run.drops):
            self.ask_state(run, is_kept)  # else another one may come
            return
        self.ask(run, "Create", is_kept=is_kept)
        run.nominal = "created" if run.nominal == "new" else run.nominal

    def ask_start(self, run, is_kept):
        exec_id = self.exec_id(run, 0.1)
        if not self.engine.rules.waits_its_turn:
            self.collect(run)
        self.ask(run, "Start", is_kept=is_kept, exec_id=exec_id)
        if not exec_id and run.nominal == "created":
            run.nominal = "running"

    def ask_exec(self, run, is_kept):
        waiting = [name for name, state in run.execs.items() if state == "added"]
        if waiting and self.random.random() < 0.7:
            run.execs[waiting[0]] = "started"
            self.ask(run, "Start", is_kept=is_kept, exec_id=waiting[0])
            return
        if len(run.execs) == EXECS_MOST and self.random.random() < 0.8:
            self.ask_gone_exec(run, is_kept)
            return
        name = self.exec_id(run, 0.1)
        name = name if name and run.execs[name] != "deleted" else f"e{len(run.execs)}"
        if len(run.execs) < EXECS_MOST or name in run.execs:
            run.life.kinds.setdefault(name, self.random.choice(self.engine.exec_kinds))
            run.execs.setdefault(name, "added")
            self.ask(run, "Exec", is_kept=is_kept, exec_id=name)

    def ask_gone_exec(self, run, is_kept):
        """One that has been started is ended, or deleted."""
        name = self.random.choice(sorted(run.execs))
        if run.execs[name] == "started":
            run.execs[name] = "killed"
            self.ask(run, "Kill", is_kept=is_kept, exec_id=name, signal=self.random.choice([KILL, TERM, WINCH]))
        else:
            run.execs[name] = "deleted"
            self.ask(run, "Delete", is_kept=is_kept, exec_id=name)

    def ask_state(self, run, is_kept):
        self.ask(run, "State", is_kept=is_kept, exec_id=self.exec_id(run))

    def ask_wait(self, run, _):
        run.waits += 1
        if run.waits > WAITS_MOST:
            return
        self.ask(run, "Wait", is_kept=True, exec_id=self.exec_id(run))

    def ask_kill(self, run, is_kept):
        number = self.random.choice([KILL, TERM, TERM, USR1, WINCH])
        self.ask(run, "Kill", is_kept=is_kept, signal=number, is_for_all=self.engine.rules.has_execs and self.random.random() < 0.3)
        run.nominal = "killed" if number == KILL and run.nominal != "ended" else run.nominal

    def ask_pause(self, run, is_kept):
        self.ask(run, "Pause", is_kept=is_kept)
        run.nominal = "paused"

    def ask_resume(self, run, is_kept):
        self.collect(run)  # whoever was to pause it has
        self.ask(run, "Resume", is_kept=is_kept)
        run.nominal = "running" if run.nominal == "paused" else run.nominal

    def ask_delete(self, run, is_kept):
        run.is_deleted = True
        self.ask(run, "Delete", is_kept=is_kept)

    def ask_until_end(self, run, is_kept):
        """Of one that ends by itself."""
        self.collect(run)
        if run.life.kinds[""].own is None or run.drops:
            self.ask_state(run, is_kept)
            return
        self.ask(run, "Wait")
        run.nominal = "killed"

    def ask_end(self, run, is_kept):
        """All the way; of one that may be something else, by a call that was dropped, the rest comes last."""
        self.collect(run)
        if run.drops:
            self.ask(run, "Kill", is_kept=is_kept, signal=KILL)
            self.names[self.names.index(run.life.name)] = f"c{self.next_name}"
            self.next_name += 1
            return
        self.ask(run, "Kill", signal=KILL)
        self.ask(run, "Wait")
        run.is_deleted = True
        self.ask(run, "Delete")
        self.collect(run, waits=True)
        run.nominal = "ended"

    # --- the end

    def finish(self):
        """Everything is removed, and told; then nothing is left."""
        if self.is_away:
            self.back()
        for runs in self.runs.values():
            self.collect(runs[-1])
            poll(lambda run=runs[-1]: self.remove(run), 20, lambda run=runs[-1]: f"it can't be removed:\n{run.life}")
            self.collect(runs[-1], waits=True)
        poll(self.all_is_told, 20, self.describe_missing)
        for runs in self.runs.values():
            for run in runs:
                self.check_counts(run)
        for connection in self.connections:
            connection.client.socket.close()
        self.engine.check_end()

    def remove(self, run):
        """Whether it is gone. What was dropped may still come, so that what is asked depends on what is there."""
        if self.ask(run, "State") == NOT_FOUND:
            run.life.give_up()
            return True
        if self.ask(run, "Kill", signal=KILL) in (OK, NOT_FOUND):
            self.ask(run, "Wait")
            self.ask(run, "Delete")
        return False

    def tracks(self):
        return [(run, self.watch.tracks.get(name, [])[run.number] if len(self.watch.tracks.get(name, [])) > run.number else None)
                for name, runs in self.runs.items() for run in runs]

    def all_is_told(self):
        self.listen()
        return all(track is not None and track.has("delete") for run, track in self.tracks() if run.counts.get("Create", 0))  # others by counts

    def describe_missing(self):
        return "not told:\n" + "\n".join(f"{run.life}\ntold: {track and track.topics}" for run, track in self.tracks()
                                         if run.counts.get("Create", 0) and not (track and track.has("delete")))

    def check_counts(self, run):
        """As many events as answers; those of dropped calls may have come as well."""
        lives = self.watch.tracks.get(run.life.name, [])
        track = lives[run.number] if len(lives) > run.number else engine_events.Track()
        if (run.life.name, run.number) in self.watch.quiet:
            assert not track.topics and not run.counts.get("Create", 0), f"{run.life}\nit was removed before it was there, and yet: {track.topics}"
            return
        told = {"Create": track.count("create"), "Start": track.count("start"), "Delete": track.count("delete"), "Exec": track.count("exec-added"),
                "Pause": track.count("paused"), "Resume": track.count("resumed"), "Start exec": track.count("exec-started")}
        for method, many in told.items():
            least, dropped = run.counts.get(method, 0), run.counts.get(f"dropped {method}", 0)
            assert least <= many <= least + dropped, f"{run.life}\n{many} events of {method}, {least} answers and {dropped} unheard: {track.topics}"
        for name in run.execs:
            assert track.has("exit", name) == track.has("exec-started", name), f"{run.life}\nprocess {name}: {track.topics}"

