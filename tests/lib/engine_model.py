"""What may be true of a container, after what was asked of the shim or of cloisterd and what they answered.

Several calls may be under way at once, and a container may end by itself at any moment: so what is known of one is a set
of states, each of which explains all that was answered. A call takes effect at one moment between its begin and its
answer; one whose caller hung up may, or not. An answer, and an event that has come, leave those states that explain it;
where none is left the answer was wrong.

    life = Life("one", Kind("sh", own=3), SHIM)
    call = life.begin("Start")
    life.end(call, OK)
"""

import itertools
import signal
from dataclasses import dataclass, replace

from lib.shim import EXISTS, NOT_FOUND, OK, PRECONDITION, UNIMPLEMENTED

UNKNOWN = 2  # what cloister-oci refuses
CREATED, RUNNING, STOPPED, PAUSED = 1, 2, 3, 4
KILL, TERM, USR1, WINCH = signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1, signal.SIGWINCH
numbers = itertools.count(1)


@dataclass(frozen=True)
class Kind:
    """What a process does: its words, the status with which it ends by itself (None: it doesn't), and by signals."""

    words: tuple
    own: int = None
    by_signal: tuple = ()  # pairs of a signal and a status: it may end so


@dataclass(frozen=True)
class Process:
    """FATE is the status with which it ended; whether that has been told is what its phase says."""

    phase: str  # absent, making, created (of an exec: added), starting, running, stopped, gone
    fate: int = None
    signals: frozenset = frozenset()


@dataclass(frozen=True)
class State:
    first: Process = Process("absent")
    execs: tuple = ()  # pairs of an id and a Process
    is_paused: bool = False
    under_way: tuple = ()  # calls that have begun to take effect: of Create and of Start
    done: frozenset = frozenset()  # pairs of a call that has taken effect and its answer

    def process(self, exec_id):
        return dict(self.execs).get(exec_id, Process("absent")) if exec_id else self.first

    def put(self, exec_id, process, **more):
        if not exec_id:
            return replace(self, first=process, **more)
        return replace(self, execs=tuple(sorted({**dict(self.execs), exec_id: process}.items(), key=lambda pair: pair[0])), **more)

    @property
    def is_there(self):
        return self.first.phase not in ("absent", "gone")


@dataclass(eq=False)
class Call:
    method: str
    exec_id: str = ""
    signal: int = 0
    is_for_all: bool = False
    is_dropped: bool = False
    number: int = 0

    def __str__(self):
        more = [self.exec_id, signal.Signals(self.signal).name if self.signal else "", "all" if self.is_for_all else "", "dropped" if self.is_dropped else ""]
        return f"{self.number} {self.method}({', '.join(filter(None, more))})"


class Rules:
    """The shim's: what a call does to a state, as pairs of the next one and the answer; None: not yet."""

    waits_its_turn = True  # what changes a container waits for what does already
    kills_created = (KILL,)
    has_execs = True

    def deaths(self, life, state, exec_id):
        """The statuses with which a process may end now."""
        process, kind, found = state.process(exec_id), life.kinds[exec_id], set()
        if process.phase not in ("created", "starting", "running") or process.fate is not None or (exec_id and process.phase != "running"):
            return found
        if KILL in process.signals or (exec_id and state.first.fate is not None) or \
                (not exec_id and process.phase == "created" and life.is_asked("Delete")):
            found.add(128 + KILL)
        is_frozen = state.is_paused and KILL not in state.first.signals  # which lets all go on, as they are to end
        if process.phase != "created" and not is_frozen:
            found |= {status for number, status in kind.by_signal if number in process.signals}
            found |= {kind.own} - {None}
        return found

    def inner(self, life, state):
        """What happens by itself."""
        for exec_id in ["", *dict(state.execs)]:
            process = state.process(exec_id)
            for status in self.deaths(life, state, exec_id):
                yield state.put(exec_id, replace(process, fate=status))
            if process.fate is not None and process.phase in ("created", "running") and (exec_id or self.may_tell(state)):
                yield state.put(exec_id, replace(process, phase="stopped"))
        if state.first.phase in ("making", "starting"):
            call, = state.under_way
            yield replace(state, first=replace(state.first, phase="created" if state.first.phase == "making" else "running"), under_way=(),
                          done=state.done | {(call, OK)})
            if state.first.phase == "starting" and (state.first.fate is not None or state.first.signals):
                yield replace(state, first=replace(state.first, phase="created"), under_way=(), done=state.done | {(call, UNKNOWN)})

    @staticmethod
    def may_tell(state):
        """The processes in a container are told to have ended before it is."""
        return all(process.phase != "running" for _, process in state.execs)

    def apply(self, life, state, call):
        if call.method != "Create" and not state.is_there:
            return [(state, NOT_FOUND)]
        is_busy = state.first.phase in ("making", "starting")
        if is_busy and self.waits_its_turn and call.method not in ("State", "Wait") and not (call.method == "Kill" and state.first.phase == "starting"):
            return []
        return getattr(self, f"_{call.method.lower()}")(life, state, call)

    def _state(self, life, state, call):
        process = state.process(call.exec_id)
        if process.phase in ("absent", "gone"):
            return [(state, NOT_FOUND)]
        status = {"running": PAUSED if state.is_paused else RUNNING, "stopped": STOPPED}.get(process.phase, CREATED)
        return [(state, (status, process.fate if status == STOPPED else None))]

    def _wait(self, life, state, call):
        process = state.process(call.exec_id)
        if process.phase in ("absent", "gone"):
            return [(state, NOT_FOUND)]
        return [(state, ("ended", process.fate))] if process.phase == "stopped" else []

    def _create(self, life, state, call):
        if state.is_there:
            return [(state, EXISTS)]
        return [] if state.first.phase == "gone" else [(replace(state, first=Process("making"), under_way=(call,)), None)]

    def _start(self, life, state, call):
        process = state.process(call.exec_id)
        if process.phase in ("absent", "gone"):
            return [(state, NOT_FOUND)]
        if process.phase != "created":
            return [(state, PRECONDITION)]
        if not call.exec_id:
            return [(replace(state, first=replace(process, phase="starting"), under_way=(call,)), None)]
        may = []
        if state.first.phase != "stopped" and not state.is_paused:
            may.append((state.put(call.exec_id, replace(process, phase="running")), OK))
        if state.first.phase == "stopped" or state.is_paused or state.first.fate is not None or state.first.signals or life.is_asked("Kill"):
            may.append((state, UNKNOWN))
        return may

    def _kill(self, life, state, call):
        process = state.process(call.exec_id)
        if process.phase in ("absent", "gone", "stopped"):
            return [(state, NOT_FOUND)]
        if call.exec_id and process.phase == "created":
            return [(state, PRECONDITION)]
        killed = state.put(call.exec_id, replace(process, signals=process.signals | {call.signal}))
        if call.is_for_all:
            killed = replace(killed, execs=tuple((name, replace(one, signals=one.signals | {call.signal})
                                                  if one.phase == "running" or life.is_asked("Start", exec_id=name) else one)
                                                 for name, one in killed.execs))
        may = [(killed, OK)]
        if process.fate is not None and not call.exec_id:
            may.append((state, NOT_FOUND))
        if life.is_asked("Delete") and not call.exec_id:
            may.append((state, UNKNOWN))
        return may

    def _pause(self, life, state, call):
        is_pause = call.method == "Pause"
        if state.first.phase != "running" or state.is_paused == is_pause:
            return [(state, PRECONDITION)]
        may = [(replace(state, is_paused=is_pause), OK)]
        if state.first.fate is not None or KILL in state.first.signals:
            may.append((state, UNKNOWN))
        return may

    _resume = _pause

    def _exec(self, life, state, call):
        if state.first.phase == "stopped":
            return [(state, PRECONDITION)]
        if state.process(call.exec_id).phase not in ("absent", "gone"):
            return [(state, EXISTS)]
        return [(state.put(call.exec_id, Process("created")), OK)]

    def _delete(self, life, state, call):
        process = state.process(call.exec_id)
        if process.phase in ("absent", "gone"):
            return [(state, NOT_FOUND)]
        if process.phase == "running":
            return [(state, PRECONDITION)]
        may = [(state, PRECONDITION)] if life.is_asked("Delete", besides=call, exec_id=call.exec_id) else []
        if call.exec_id:
            return [*may, (state.put(call.exec_id, replace(process, phase="gone")), ("deleted", process.fate or 0))]
        fate = 128 + KILL if process.fate is None else process.fate
        return [*may, (replace(state, first=replace(process, phase="gone", fate=fate),
                               execs=tuple((name, replace(one, phase="gone")) for name, one in state.execs)), ("deleted", fate))]


class ModuleRules(Rules):
    """cloisterd's: a module has one process, any signal that ends one ends it, and nothing waits for its turn."""

    waits_its_turn = has_execs = False
    deadly = (KILL, TERM, USR1)

    def deaths(self, life, state, exec_id):
        process, found = state.first, set()
        if process.phase == "created" and process.fate is None and not exec_id and life.is_asked("Delete"):
            return {128 + KILL}
        if exec_id or process.phase not in ("starting", "running") or process.fate is not None:
            return found
        found |= {128 + number for number in self.deadly if number in process.signals}
        return found if state.is_paused else found | ({life.kinds[""].own} - {None})

    def apply(self, life, state, call):
        if call.method != "Create" and not state.is_there:
            return [(state, NOT_FOUND)]
        if call.exec_id:
            return [(state, UNIMPLEMENTED if call.method == "Exec" else NOT_FOUND)]
        phase = state.first.phase
        if phase == "making" and call.method == "Delete":  # whoever creates it is told so, and nobody else has heard of it
            gone = Process("gone", fate=128 + KILL)
            created = {(one, None if one.is_dropped else NOT_FOUND) for one in state.under_way}
            return [(replace(state, first=gone, under_way=(), done=state.done | created), ("deleted", 128 + KILL))]
        if (phase == "making" and call.method in ("Start", "Kill", "Pause", "Resume")) or \
                (phase == "starting" and call.method in ("Start", "Delete", "Pause", "Resume")):
            return [(state, PRECONDITION)]
        return super().apply(life, state, call)

    def _kill(self, life, state, call):
        process = state.first
        if process.phase == "stopped":
            return [(state, NOT_FOUND)]
        if call.signal not in self.deadly:
            return [(state, OK)]
        if process.phase == "created":
            return [(replace(state, first=replace(process, phase="stopped", fate=128 + call.signal)), OK)]
        first = process.signals & set(self.deadly)  # the first one's number is told
        return [(replace(state, first=replace(process, signals=first or frozenset([call.signal]))), OK)]


SHIM, MODULES = Rules(), ModuleRules()


class Life:
    """Of one container, from its Create on, and all that it may be now."""

    def __init__(self, name, kind, rules):
        self.name, self.rules, self.kinds = name, rules, {"": kind}
        self.states, self.pending, self.story = {State()}, [], []

    def __str__(self):
        shown = sorted(map(str, {replace(state, done=frozenset(), under_way=()) for state in self.states}))
        return "\n".join([f"{self.name}, {self.kinds['']}:", *self.story, "and before that it may have been:", *shown])

    def is_asked(self, method, besides=None, exec_id=""):
        """Whether such a call is under way."""
        return any(call.method == method and call is not besides and (method == "Kill" or call.exec_id == exec_id) for call in self.pending)

    def begin(self, method, **more):
        call = Call(method, number=next(numbers), **more)
        self.story.append(f"  {call}")
        self.pending.append(call)
        self.states = self._reachable()
        return call

    def drop(self, call):
        """Its caller has gone: nobody hears the answer."""
        call.is_dropped = True
        self.story.append(f"  {call}")
        if call.method in ("State", "Wait"):
            self.pending = [one for one in self.pending if one is not call]
            self.states = {replace(state, done=frozenset(pair for pair in state.done if pair[0] is not call)) for state in self.states}

    def end(self, call, answer):
        self.story.append(f"  {call} -> {answer}")
        left = {replace(state, done=state.done - {(call, answer)}) for state in self._reachable() if (call, answer) in state.done}
        assert left, f"{call} can't have been answered by {answer}\n{self}"
        self.pending.remove(call)
        self.states = left

    def saw(self, what, is_so):
        """Something that is known of it."""
        self.story.append(f"  seen: {what}")
        left = {state for state in self._reachable() if is_so(state)}
        assert left, f"{what}: this can't be\n{self}"
        self.states = left

    def give_up(self):
        """It isn't there, and calls that were dropped take no effect any more."""
        self.pending = [call for call in self.pending if not call.is_dropped]
        self.saw("nothing of it is there", lambda state: not state.is_there)

    def _reachable(self):
        found, new = set(self.states), list(self.states)
        while new:
            state = new.pop()
            for other in itertools.chain(self.rules.inner(self, state), self._applied(state)):
                if other not in found:
                    found.add(other)
                    new.append(other)
            assert len(found) < 100_000, f"too much may be true\n{self.name}"
        return found

    def _applied(self, state):
        taken = {call for call, _ in state.done} | set(state.under_way)
        for call in self.pending:
            if call in taken:
                continue
            for other, answer in self.rules.apply(self, state, call):
                if answer is not None:
                    other = replace(other, done=other.done | {(call, None if call.is_dropped else answer)})
                yield other
