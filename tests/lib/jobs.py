"""`cloister job run`: a file of a dictionary, and what came of it."""

import json

from lib.runner import Running, read_result


class Job:
    """One job's file of an identity, and where its result and artifacts go."""

    def __init__(self, cloister, spec):
        self.cloister = cloister
        self.directory = cloister.directory("job")
        self.path, self.result = self.directory / "job.yaml", self.directory / "result.json"
        self.artifacts = self.directory / "artifacts"
        self.path.write_text(spec if isinstance(spec, str) else json.dumps(spec))

    def words(self, opts=()):
        words = ["job", "run", "--result", self.result, "--artifacts", self.artifacts]
        for layer in self.cloister.without:
            words += ["--without", layer]
        return [*map(str, words), *map(str, opts), str(self.path)]

    def run(self, *opts, **options):
        outcome = self.cloister.call(*self.words(opts), **options)
        outcome.result = read_result(self.result)
        return outcome

    def start(self, *opts, env=None, **options):
        """Left running: use it as a context manager."""
        options.setdefault("cwd", "/")
        options.setdefault("pipes", (False, True, True))
        return Running(self.cloister.argv(*self.words(opts)), self.result, env=self.cloister.environment(env), **options)


def steps(*texts, **keys):
    """A step of each text, called s0, s1, ..."""
    return [{"name": f"s{number}", "run": one, **keys} for number, one in enumerate(texts)]


def statuses(outcome):
    return [step["status"] for step in outcome.result["steps"]]
