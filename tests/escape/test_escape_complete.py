"""Every probe of every attack has a test that lets it escape: what is not known to work where nothing
stops it shows nothing about the wall. Told from the sources: whether those tests pass is theirs to say."""

import ast
import importlib.util
import re

import wall

# What another probe starts or meets, and no attack by itself.
STAGES = {('neighbour', 'victim'), ('self_exe', 'append'), ('shared_pool', 'take')}
# Probes without a verdict of their own: the test sees from the host that they worked.
SEEN_FROM_OUTSIDE = {
    ('broken_worker', 'execute'): 'test_a_module_that_is_a_program_is_executed',
    ('broken_worker', 'keep'): 'test_what_a_client_gave_is_closed_when_the_worker_ends',
    ('broken_worker', 'words'): 'test_what_it_says_at_its_end_is_text',
    ('broken_worker', 'flood'): 'test_a_full_line_holds_nobody_up',
    ('hollow', 'leave'): 'test_who_seems_dead_lives_on_the_host',
    ('hold_end', 'keep_triggers'): 'test_triggers_hold_the_end_without_the_mask',
    ('swapper', 'exchange'): 'test_a_path_of_the_host_is_led_out',
    ('page_cache', 'empty'): 'test_page_cache_is_asked_and_emptied_without_the_filter',
    ('volume_doors', 'lock'): 'test_lock_is_held_on_the_host',
    ('volume_doors', 'lease'): 'test_host_waits_for_a_lease_without_the_filter',
    ('volume_doors', 'lease_high_bits'): 'test_host_waits_for_a_lease_without_the_filter'}


def _probes():
    """All (program, probe) of the tables of the C sources."""
    found = set()
    for path in wall.HERE.glob('*.c'):
        _, table, text = path.read_text().partition('\nATTACK(')
        rows = {(path.stem, name) for name in re.findall(r'\{"(\w+)", \w+\}', text)}
        assert rows if table else path.name == 'start.c', f'{path.name} has no table of probes'
        found |= rows
    return found


def _strings(value):
    """The words of all strings in a value, however deep."""
    if isinstance(value, str):
        return set(re.findall(r'\w+', value))
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, (list, tuple, set)):
        return set().union(*map(_strings, value))
    return set()


class Reading:
    """What a test says, with the helpers and fixtures of its file that it names: the words of its strings
    and of the values that it is parametrized with, and whether it lets anything escape."""

    def __init__(self, module, functions, name):
        self.module, self.functions = module, functions
        self.words, self.escapes, self.seen = set(), False, set()
        self._function(name)
        for mark in getattr(getattr(module, name), 'pytestmark', []):
            if mark.name == 'parametrize' and mark.args[0] not in ('who', 'profile', 'who,profile'):
                self.words |= _strings(list(mark.args[1]))

    def _function(self, name):
        self.seen.add(name)
        function = self.functions[name]
        for argument in function.args.args:
            self._name(argument.arg)
        for statement in function.body:
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                self._node(statement)  # no docstring

    def _name(self, name):
        if name in self.functions and name not in self.seen:
            self._function(name)
        elif name not in self.functions:
            self.words |= _strings(getattr(self.module, name, None))

    def _node(self, node):
        if isinstance(node, ast.keyword) and node.arg in ('who', 'profile', 'without', 'extra', 'off'):
            return
        if isinstance(node, ast.Constant):
            self.words |= _strings(node.value)
        elif isinstance(node, ast.Name):
            self._name(node.id)
        elif isinstance(node, ast.Attribute) and node.attr == 'escaped':
            self.escapes = True
        for child in ast.iter_child_nodes(node):
            self._node(child)


def _readings():
    """{name of a test: its reading}, of all tests of this directory."""
    found = {}
    for path in sorted(wall.HERE.glob('test_*.py')):
        spec = importlib.util.spec_from_file_location(f'read_{path.stem}', path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        functions = {node.name: node for node in ast.parse(path.read_text()).body
                     if isinstance(node, ast.FunctionDef)}
        found |= {name: Reading(module, functions, name) for name in functions if name.startswith('test_')}
    return found


def test_every_attack_escapes_somewhere():
    tests = _readings()
    shown = [test.words for test in tests.values() if test.escapes]
    missing = {probe for probe in _probes() if not any(words.issuperset(probe) for words in shown)}
    missing -= STAGES | SEEN_FROM_OUTSIDE.keys()
    assert not missing, 'no test lets them escape: ' + ', '.join(sorted(map(' '.join, missing)))
    assert SEEN_FROM_OUTSIDE.keys() | STAGES <= _probes()
    assert tests.keys() >= set(SEEN_FROM_OUTSIDE.values())
