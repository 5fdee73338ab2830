#!/usr/bin/env python3
"""Compile policy/syscalls.tbl into seccomp BPF programs, as a C source.

The table says what each program may ask (its own header defines the format),
syscall-numbers.tbl what each call's number is. For every program and
architecture this makes a map from all 2^32 numbers to what happens, turns the
map into a search tree over merged ranges with as few instructions as can be, and
the argument tests into small trees at its leaves. Code is written backwards, so that every jump's
target is already placed: equal answers and equal tests are shared wherever a
jump's 255 instructions reach, and `ja` bridges what is further.

Nothing is written unless the program, run by the interpreter below, gives the
answer that the table's rows give when they are read one after another, for all
numbers 0 to 1023 and then some, and for arguments around every edge of every
test, each also with rubbish in the upper 32 bits.
"""
import argparse
import errno
import glob
import itertools
import os
import re
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
FULL = 0xffffffff
MAX_INSNS = 4096  # BPF_MAXINSNS

# name: (AUDIT_ARCH_*, first number of a foreign ABI or None, compiler's macro)
ARCHES = {
    'x86_64': (0xc000003e, 0x40000000, '__x86_64__'),
    'aarch64': (0xc00000b7, None, '__aarch64__'),
}

RET_KILL = 0x80000000
RET_ALLOW = 0x7fff0000
RET_ERRNO = 0x00050000
RET_NEXT = 0x7ff00001  # CL_SECCOMP_NEXT: what is joined behind decides (seccomp.c)

LD, JEQ, JGE, JSET, JA, AND, RET = 0x20, 0x15, 0x35, 0x45, 0x05, 0x54, 0x06
OFF_NR, OFF_ARCH, OFF_ARGS = 0, 4, 16
ARGS = 6  # a test is on a word: 0 to 5 the arguments' low halves, 6 to 11 their high ones


class TableError(Exception):
    pass


# --- reading ---------------------------------------------------------------

class Row:
    def __init__(self, where, names, tests, programs, action, heading):
        self.where, self.names, self.tests = where, names, tests
        self.programs, self.action, self.heading = programs, action, heading


class Section:
    def __init__(self, name, programs, unlisted, words):
        self.name, self.programs, self.unlisted = name, programs, unlisted
        self.complete, self.tracers = 'complete' in words, 'tracers' in words
        self.brief = 'brief' in words
        self.rows = []


def read_numbers(path):
    """{arch: {name: number}}"""
    numbers = {arch: {} for arch in ARCHES}
    with open(path, encoding='utf-8') as file:
        for n, line in enumerate(file, 1):
            fields = line.split('#')[0].split()
            if not fields:
                continue
            if len(fields) != 1 + len(ARCHES):
                raise TableError(f'{path}:{n}: expected a name and {len(ARCHES)} numbers')
            for arch, value in zip(ARCHES, fields[1:]):
                if value == '-':
                    continue
                known = numbers[arch]
                if fields[0] in known or int(value) in known.values():
                    raise TableError(f'{path}:{n}: {fields[0]} or {value} is there twice')
                known[fields[0]] = int(value)
    return numbers


def parse_action(text, where):
    if text == 'allow':
        return RET_ALLOW
    if text == 'kill':
        return RET_KILL
    if text == 'skip':
        return RET_ERRNO
    if text == 'next':
        return RET_NEXT
    if text.isupper() and hasattr(errno, text):
        return RET_ERRNO | getattr(errno, text)
    raise TableError(f'{where}: no such action: {text}')


def parse_value(text, consts, where):
    total = 0
    for term in text.split('+'):
        term = term.strip()
        if term in consts:
            value = consts[term]
        elif re.fullmatch(r'0[0-7]+', term):
            value = int(term, 8)
        elif re.fullmatch(r'0x[0-9a-fA-F]+|\d+', term):
            value = int(term, 0)
        else:
            raise TableError(f'{where}: no such value: {term!r}')
        total |= value
    if total > FULL:
        raise TableError(f'{where}: {text} is wider than 32 bits')
    return total


def parse_test(text, consts, where):
    """-> (word, mask, ((low, high), ...)): holds when word & mask lies in one"""
    m = re.fullmatch(r'([ah])([0-5])\s*(?:&\s*(\S+)\s*)?(==|!=|\bin\b)\s*(.+)', text.strip())
    if not m:
        raise TableError(f'{where}: not a test: {text.strip()!r}')
    mask = parse_value(m[3], consts, where) if m[3] else FULL
    ranges = []
    for item in m[5].split(',') if m[4] == 'in' else [m[5]]:
        low, _, high = item.partition('..')
        low = parse_value(low, consts, where)
        high = parse_value(high, consts, where) if high else low
        if low > high or high & ~mask and m[3]:
            raise TableError(f'{where}: {item.strip()} can never hold')
        ranges.append((low, high))
    ranges = normal(ranges)
    word = int(m[2]) + (ARGS if m[1] == 'h' else 0)
    return word, mask, complement(ranges) if m[4] == '!=' else ranges


def normal(ranges):
    out = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(high, out[-1][1]))
        else:
            out.append((low, high))
    return tuple(out)


def complement(ranges):
    out, start = [], 0
    for low, high in ranges:
        if low > start:
            out.append((start, low - 1))
        start = high + 1
    if start <= FULL:
        out.append((start, FULL))
    return tuple(out)


def logical_lines(path):
    """Lines with their continuations joined, comments and empty lines gone."""
    pending = None
    with open(path, encoding='utf-8') as file:
        for n, line in enumerate(file, 1):
            line = line.rstrip()
            if line[:1] in ' \t' and line.strip() and pending:
                pending = (pending[0], pending[1] + ' ' + line.strip())
                continue
            if pending:
                yield pending
            pending = (n, line) if line and not line.startswith('#') else None
    if pending:
        yield pending


def parse_section(text, where):
    m = re.fullmatch(r'section (\w+): ([\w ]+?)\s*; unlisted (\w+)((?:\s*; (?:complete|tracers|brief))*)', text)
    if not m:
        raise TableError(f'{where}: not a section line')
    return Section(m[1], m[2].split(), parse_action(m[3], where), m[4])


def parse_row(text, section, consts, heading, where):
    fields = [f.strip() for f in text.split('|')]
    if len(fields) != 5 or not all(fields):
        raise TableError(f'{where}: a row has five filled columns: names, when, for, then, why')
    names, when, programs, action, _why = fields
    tests = [] if when == '-' else [parse_test(t, consts, where) for t in re.split(r'\s+and\s+', when)]
    programs = section.programs if programs == 'all' else programs.split()
    for program in programs:
        if program not in section.programs:
            raise TableError(f'{where}: section {section.name} has no program {program}')
    return Row(where, names.split(), tests, programs, parse_action(action, where), heading)


def read_table(path):
    sections, consts, heading = [], {}, ''
    for n, line in logical_lines(path):
        where = f'{os.path.relpath(path)}:{n}'
        if line.startswith('section '):
            sections.append(parse_section(line, where))
        elif line.startswith('const '):
            fields = line.split('#')[0].split()
            if len(fields) != 3 or fields[1] in consts:
                raise TableError(f'{where}: expected a new const NAME VALUE')
            consts[fields[1]] = parse_value(fields[2], consts, where)
        elif line.startswith('== '):
            heading = line[3:]
        elif not sections:
            raise TableError(f'{where}: a row before the first section')
        else:
            sections[-1].rows.append(parse_row(line, sections[-1], consts, heading, where))
    return sections


# --- what the table says -----------------------------------------------------

def rules_of(section, program, numbers):
    """{number: [(tests, action), ...]} for one program on one architecture"""
    rules, closed = {}, {}
    for row in section.rows:
        for name in row.names:
            if not any(name in known for known in numbers.values()):
                raise TableError(f'{row.where}: no architecture knows {name}')
            if program not in row.programs:
                continue
            if name in closed:
                raise TableError(f'{row.where}: {name} is already decided by {closed[name]}')
            if not row.tests:
                closed[name] = row.where
            rules.setdefault(name, []).append((tuple(row.tests), row.action))
    for name in rules:
        if name not in closed:
            raise TableError(f'section {section.name}: {name} has no last row without a test ({program})')
    if section.complete:
        missing = {n for known in numbers.values() for n in known} - set(rules)
        if missing:
            raise TableError(f'section {section.name}: undecided ({program}): {" ".join(sorted(missing))}')
    return rules


def word_of(data, word):
    value = data['args'][word % ARGS]
    return value >> 32 if word >= ARGS else value & FULL


def decide(rules, section, arch, data):
    """The plain reading, against which the compiled program is held."""
    audit, foreign, _ = ARCHES[arch]
    if data['arch'] != audit:
        return RET_KILL
    nr = data['nr']
    if foreign is not None and nr >= foreign and not (section.tracers and nr == FULL):
        return RET_KILL
    for tests, action in rules.get(nr, ()):
        if all(any(low <= word_of(data, word) & mask <= high for low, high in ranges)
               for word, mask, ranges in tests):
            return action
    return section.unlisted


# --- compiling ---------------------------------------------------------------

class Label:
    """A place in the code. `entry` is an index from the end; where the code
    begins by loading an argument, `after` skips that for who holds `holds`."""

    def __init__(self, entry, holds=None, after=None):
        self.entry, self.holds, self.after = entry, holds, after


class Assembler:
    """Writes a program from its end to its start."""

    def __init__(self):
        self.code = []   # last instruction first: (op, k, jt, jf), targets as indices
        self.seen = {}   # instruction -> index of its latest copy

    def put(self, op, k, jt=0, jf=0):
        key = (op, k, jt, jf)
        self.code.append(key)
        self.seen[key] = len(self.code) - 1
        return len(self.code) - 1

    def reaches(self, target, spare=0):
        return len(self.code) + spare - target - 1 <= 255

    def place(self, goal, holds, spare):
        """Index of a jump's goal (an action or a Label), made reachable."""
        if isinstance(goal, Label):
            index = goal.after if goal.holds is not None and goal.holds == holds else goal.entry
            if self.reaches(index, spare):
                return index
            return self.put(JA, index)
        index = self.seen.get((RET, goal, 0, 0))
        if index is not None and self.reaches(index, spare):
            return index
        return self.put(RET, goal)

    def branch(self, op, k, yes, no, holds=None):
        # Placing one goal may push the other one step away, hence the spare.
        no = self.place(no, holds, 2)
        yes = self.place(yes, holds, 1)
        if yes == no:
            return Label(yes)
        index = self.seen.get((op, k, yes, no))
        if index is not None and self.reaches(index, 4):
            return Label(index)
        return Label(self.put(op, k, yes, no))

    def load(self, offset, label):
        """A load in front of the code at `label`, which must come next."""
        if isinstance(label, Label) and label.entry != len(self.code) - 1:
            self.put(JA, label.entry)
        return self.put(LD, offset)

    def finish(self):
        """[(op, jt, jf, k)] in running order"""
        out = []
        for index in range(len(self.code) - 1, -1, -1):
            op, k, jt, jf = self.code[index]
            if op == JA:
                out.append((op, 0, 0, index - k - 1))
            elif op in (JEQ, JGE, JSET):
                out.append((op, index - jt - 1, index - jf - 1, k))
            else:
                out.append((op, 0, 0, k))
        return out


def merged(ranges):
    out = []
    for low, high, goal in ranges:
        if out and out[-1][2] is goal or out and out[-1][2] == goal:
            out[-1] = (out[-1][0], high, goal)
        else:
            out.append((low, high, goal))
    return out


MAX_CHAIN = 4  # comparisons one after another, where a tree would have one more


def chain_of(ranges):
    """Positions of single values that stand out of one goal for all others, or None."""
    others = ranges[0][2] if len(ranges) < 2 or ranges[0][0] != ranges[0][1] else ranges[1][2]
    singles = [i for i, (_, _, goal) in enumerate(ranges) if goal != others]
    if len(singles) > MAX_CHAIN or any(ranges[i][0] != ranges[i][1] for i in singles):
        return None
    return singles, others


def plan_tree(ranges):
    """Where to split each run of ranges, for the fewest instructions: {(first, end): position}.

    A run that is a chain isn't split. Splits stay in the middle half, so that no path
    gets long.
    """
    costs, splits = {}, {}
    for size in range(1, len(ranges) + 1):
        for first in range(len(ranges) - size + 1):
            end = first + size
            chain = chain_of(ranges[first:end]) if size <= 2 * MAX_CHAIN + 1 else None
            best = (len(chain[0]), 0) if chain else None
            margin = (size - 1) // 4
            for middle in range(first + 1 + margin, end - margin):
                cost = (1 + costs[first, middle] + costs[middle, end],
                        abs(middle - first - size // 2))
                if best is None or cost < best:
                    best, splits[first, end] = cost, middle
            costs[first, end] = best[0]
    return splits


def compile_tree(asm, ranges, leaf, holds=None):
    """A search tree for the accumulator over [(low, high, goal)]."""
    splits = plan_tree(ranges)

    def compile_run(first, end):
        if (first, end) in splits:
            middle = splits[first, end]
            right = compile_run(middle, end)
            left = compile_run(first, middle)
            return asm.branch(JGE, ranges[middle][0], right, left, holds)
        singles, others = chain_of(ranges[first:end])
        rest = leaf(others)
        for i in reversed(singles):
            single = leaf(ranges[first + i][2])
            rest = asm.branch(JEQ, ranges[first + i][0], single, rest, holds)
        return rest

    return compile_run(0, len(ranges))


def overlay(rows, rest, mask):
    """[(low, high, goal)] over 0..mask, earlier rows on top."""
    edges = {0} | {e for ranges, _ in rows for low, high in ranges for e in (low, high + 1) if e <= mask}
    starts = sorted(edges)
    out = []
    for start, end in zip(starts, starts[1:] + [mask + 1]):
        goal = next((g for ranges, g in rows if any(lo <= start <= hi for lo, hi in ranges)), rest)
        out.append((start, end - 1, goal))
    return merged(out)


def compile_switch(asm, arg, mask, rows, rest):
    """Code for [(ranges, goal)] over one argument and mask."""
    offset = OFF_ARGS + 8 * (arg % ARGS) + 4 * (arg // ARGS)
    if mask != FULL and len(rows) == 1 and rows[0][0] in (((0, 0),), ((1, FULL),)):
        yes, no = (rest, rows[0][1]) if rows[0][0] == ((0, 0),) else (rows[0][1], rest)
        holds = (arg, FULL)
        body = asm.branch(JSET, mask, yes, no, holds)
        return Label(asm.load(offset, body), holds, body.entry)
    holds = (arg, mask)
    body = compile_tree(asm, overlay(rows, rest, mask), lambda goal: goal, holds)
    if not isinstance(body, Label):
        return body
    if mask == FULL:
        return Label(asm.load(offset, body), holds, body.entry)
    if body.entry != len(asm.code) - 1:
        asm.put(JA, body.entry)
    asm.put(AND, mask)
    return Label(asm.put(LD, offset), holds, body.entry)


def compile_rules(asm, rules, goal):
    """Code for [(tests, action)], then `goal` where none holds."""
    rest = list(rules)
    while rest:
        tests, action = rest.pop()
        arg, mask, ranges = tests[0]
        if len(tests) > 1:  # neighbours that begin with the same test share it
            inner = [(tests[1:], action)]
            while rest and len(rest[-1][0]) > 1 and rest[-1][0][0] == tests[0]:
                inner.insert(0, (rest[-1][0][1:], rest.pop()[1]))
            yes = compile_rules(asm, inner, goal)
            goal = compile_switch(asm, arg, mask, [(ranges, yes)], goal)
            continue
        group = [(ranges, action)]
        while rest and len(rest[-1][0]) == 1 and rest[-1][0][0][:2] == (arg, mask):
            tests, action = rest.pop()
            group.insert(0, (tests[0][2], action))
        goal = compile_switch(asm, arg, mask, group, goal)
    return goal


def compile_program(section, rules, arch):
    audit, foreign, _ = ARCHES[arch]
    ranges, start = [], 0
    for nr in sorted(rules):
        if nr > start:
            ranges.append((start, nr - 1, section.unlisted))
        goal = rules[nr][0][1] if len(rules[nr]) == 1 else tuple(rules[nr])
        ranges.append((nr, nr, goal))
        start = nr + 1
    if foreign is not None:
        ranges.append((start, foreign - 1, section.unlisted))
        ranges.append((foreign, FULL - 1, RET_KILL))
        start = FULL
    ranges.append((start, FULL, section.unlisted if section.tracers or foreign is None else RET_KILL))

    asm, shared = Assembler(), {}

    def leaf(goal):
        if not isinstance(goal, tuple):
            return goal
        label = shared.get(goal)
        if label is None or not asm.reaches(label.entry, 64):
            label = shared[goal] = compile_rules(asm, goal[:-1], goal[-1][1])
        return label

    tree = compile_tree(asm, merged(ranges), leaf)
    native = Label(asm.load(OFF_NR, tree))
    arch_is = asm.branch(JEQ, audit, native, RET_KILL)
    asm.load(OFF_ARCH, arch_is)
    if section.brief:  # to look at an argument first ends the kernel's search for constant answers
        asm.put(LD, OFF_ARGS)
    return asm.finish()


# --- proving -----------------------------------------------------------------

def run(code, data):
    """A BPF interpreter for the instructions we use."""
    words = {OFF_NR: data['nr'], OFF_ARCH: data['arch']}
    for i, value in enumerate(data['args']):
        words[OFF_ARGS + 8 * i], words[OFF_ARGS + 8 * i + 4] = value & FULL, value >> 32
    pc, a = 0, None
    while True:
        op, jt, jf, k = code[pc]
        pc += 1
        if op == LD:
            a = words[k]
        elif op == RET:
            return k
        elif op == JA:
            pc += k
        elif op == AND:
            a &= k
        else:
            holds = a == k if op == JEQ else a >= k if op == JGE else bool(a & k)
            pc += jt if holds else jf


def edge_values(rules):
    """{argument: values around every edge of every test on it}"""
    values = {}
    for tests, _ in rules:
        for arg, mask, ranges in tests:
            found = values.setdefault(arg, {0, FULL})
            edges = {e for low, high in ranges for e in (low - 1, low, high, high + 1) if 0 <= e <= FULL}
            found |= edges | {e & mask for e in edges}
            if mask != FULL:
                found |= {(e & mask) | (~mask & FULL) for e in edges}
                found |= {1 << bit for bit in range(32) if mask >> bit & 1}
    return {arg: sorted(found) for arg, found in values.items()}


def vectors(rules, limit=6000):
    """Argument vectors for one call: all combinations of edge values, thinned to the limit."""
    values = edge_values(rules)
    args, lists = list(values), list(values.values())
    total = 1
    for found in lists:
        total *= len(found)
    step = 1 if total <= limit else (total // limit) | 1
    for combination in itertools.islice(itertools.product(*lists), 0, None, step):
        for upper in (0, 0xdeadbeef00000000):
            vector = [upper] * 6
            for word, value in zip(args, combination):
                if word < ARGS:
                    vector[word] = vector[word] & ~FULL | value
                else:
                    vector[word - ARGS] = vector[word - ARGS] & FULL | value << 32
            yield vector


def check_shape(code, title):
    if len(code) > MAX_INSNS:
        raise TableError(f'{title}: {len(code)} instructions, the kernel takes {MAX_INSNS}')
    for pc, (op, jt, jf, k) in enumerate(code):
        ahead = (k,) if op == JA else (jt, jf) if op in (JEQ, JGE, JSET) else ()
        for distance in ahead:
            if distance < 0 or op != JA and distance > 255 or pc + 1 + distance >= len(code):
                raise TableError(f'{title}: bad jump at {pc}')
    if code[-1][0] != RET:
        raise TableError(f'{title}: runs off its end')


def verify(code, section, rules, arch, title):
    check_shape(code, title)
    audit = ARCHES[arch][0]
    strange = [0x3fffffff, 0x40000000, 0x40000000 + 59, 0x400003ff, 0x7fffffff, 0x80000000,
               0xbfffffff, 0xc0000000, FULL - 1, FULL]
    others = [a for a, _, _ in ARCHES.values() if a != audit] + [0x40000003, 0x40000028, 0]
    count = 0
    for nr in itertools.chain(range(1024), strange):
        cases = [(audit, v) for v in vectors(rules.get(nr, ()))]
        cases += [(a, cases[0][1]) for a in others]
        for machine, args in cases:
            data = {'nr': nr, 'arch': machine, 'args': args}
            expected, got = decide(rules, section, arch, data), run(code, data)
            if expected != got:
                raise TableError(f'{title}: number {nr:#x} arch {machine:#x} args '
                                 f'{[hex(a) for a in args]}: {got:#x} instead of {expected:#x}')
            count += 1
    return count


# --- writing -----------------------------------------------------------------

def build(sections, numbers):
    """[(arch, program, code, cases)]"""
    out = []
    for arch in ARCHES:
        for section in sections:
            for program in section.programs:
                by_name = rules_of(section, program, numbers)
                rules = {numbers[arch][n]: r for n, r in by_name.items() if n in numbers[arch]}
                code = compile_program(section, rules, arch)
                cases = verify(code, section, rules, arch, f'{arch} {program}')
                out.append((arch, program, code, cases))
    return out


def c_source(programs):
    lines = ['/* Made by tools/gen-seccomp.py from policy/syscalls.tbl. Change that, not this. */',
             '#include "policy/seccomp_tables.h"', '', '#include <linux/filter.h>', '']
    for arch, (_, _, macro) in ARCHES.items():
        lines.append(f'#if defined({macro}) || defined(CL_SECCOMP_EVERY_ARCH)')
        for of, program, code, _ in programs:
            if of != arch:
                continue
            lines.append(f'static const struct sock_filter {arch}_{program}[{len(code)}] = {{')
            lines += [f'\t{{ 0x{op:02x}, {jt}, {jf}, 0x{k:x} }},' for op, jt, jf, k in code]
            lines.append('};')
        lines += ['#endif', '']
    for number, (arch, (_, _, macro)) in enumerate(ARCHES.items()):
        lines.append(f'#{"elif" if number else "if"} defined({macro})')
        lines += [f'const struct cl_seccomp_program cl_seccomp_{program} = '
                  f'{{ "{program}", {arch}_{program}, {len(code)} }};'
                  for of, program, code, _ in programs if of == arch]
    lines += ['#else', '#error "policy/syscall-numbers.tbl lacks this architecture"', '#endif', '',
              '#ifdef CL_SECCOMP_EVERY_ARCH', 'const struct cl_seccomp_arch_program cl_seccomp_every_arch[] = {']
    lines += [f'\t{{ 0x{ARCHES[arch][0]:x}U, {{ "{program}", {arch}_{program}, {len(code)} }} }},'
              for arch, program, code, _ in programs]
    lines += ['\t{ 0, { 0, 0, 0 } },', '};', '#endif', '']
    return '\n'.join(lines)


def listing(code, numbers):
    names = {nr: name for name, nr in numbers.items()}
    text = {LD: 'ld [{k}]', AND: 'and 0x{k:x}', JA: 'ja +{k}', RET: 'ret 0x{k:x}',
            JEQ: 'jeq 0x{k:x} +{jt} +{jf}', JGE: 'jge 0x{k:x} +{jt} +{jf}', JSET: 'jset 0x{k:x} +{jt} +{jf}'}
    for pc, (op, jt, jf, k) in enumerate(code):
        note = f'   ; {names[k]}' if op in (JEQ, JGE) and k in names else ''
        print(f'{pc:4}: ' + text[op].format(k=k, jt=jt, jf=jf) + note)


# --- the host's headers, where they know a call ------------------------------

def header_numbers(path):
    values = {}
    with open(path, encoding='utf-8') as file:
        for line in file:
            m = re.match(r'#define (__NR\w*?)_(\w+)\s+(\w+)', line)
            if m:
                values.setdefault(m[1] + '_' + m[2], m[3])
    numbers = {}
    for name, value in values.items():
        value = values.get(value, value)
        if name.startswith('__NR_') and value.isdigit():
            numbers[name[len('__NR_'):]] = int(value)
    return numbers


def check_headers(numbers):
    """Compares with the headers of this host; the generic one is aarch64's."""
    wrong = 0
    seen = {'x86_64': glob.glob('/usr/include/x86_64-linux-*/asm/unistd_64.h'),
            'aarch64': glob.glob('/usr/include/asm-generic/unistd.h')}
    for arch, paths in seen.items():
        for path in paths:
            known = header_numbers(path)
            known.pop('syscalls', None)
            known.pop('arch_specific_syscall', None)
            if arch == 'aarch64':  # not what only 32-bit machines have: 403..423, second names
                known = {n: v for n, v in known.items() if not 403 <= v <= 423
                         and (n in numbers[arch] or v not in numbers[arch].values())}
            for name, value in sorted(known.items()):
                if numbers[arch].get(name) != value:
                    print(f'{path}: {name} is {value}, our table says {numbers[arch].get(name)}')
                    wrong += 1
            print(f'{arch}: {len(known)} calls compared with {path}, '
                  f'{len(set(numbers[arch]) - set(known))} are newer than it')
    return wrong


def main():
    parser = argparse.ArgumentParser(description='compile the system call table into seccomp BPF programs')
    parser.add_argument('--table', default=os.path.join(TOP, 'policy', 'syscalls.tbl'))
    parser.add_argument('--numbers', default=os.path.join(TOP, 'policy', 'syscall-numbers.tbl'))
    parser.add_argument('--output', metavar='FILE', help='write the C source here')
    parser.add_argument('--stats', action='store_true', help='print the size of each program')
    parser.add_argument('--list', nargs=2, metavar=('ARCH', 'PROGRAM'), help='print a program')
    parser.add_argument('--check-headers', action='store_true', help="compare the numbers with this host's headers")
    args = parser.parse_args()
    try:
        numbers = read_numbers(args.numbers)
        if args.check_headers:
            return 1 if check_headers(numbers) else 0
        programs = build(read_table(args.table), numbers)
    except (TableError, OSError) as error:
        print(f'gen-seccomp: {error}', file=sys.stderr)
        return 1
    for arch, program, code, cases in programs:
        if args.stats:
            print(f'{arch} {program}: {len(code)} instructions, {cases} cases checked')
        if args.list == [arch, program]:
            listing(code, numbers[arch])
    if args.output:
        with open(args.output, 'w', encoding='utf-8') as file:
            file.write(c_source(programs))
    return 0


if __name__ == '__main__':
    sys.exit(main())
