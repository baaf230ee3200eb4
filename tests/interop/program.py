"""Runs the program dmoerm and reads what it prints."""
import json
import pathlib
import subprocess


class Program:
    def __init__(self, path, work):
        self.path, self.work = pathlib.Path(path).resolve(), pathlib.Path(work)
        self.number = 0

    def new_path(self, name):
        """A path that does not exist yet."""
        self.number += 1
        return self.work / f"{self.number:03d}-{name}"

    def run(self, *arguments):
        """Standard output; RuntimeError with the program's own words when it fails."""
        done = subprocess.run([str(self.path), *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            words = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise RuntimeError(f"dmoerm {arguments[0]}: {words[-1]}")
        return done.stdout

    def score(self, model, records, *flags):
        """Scores records (dictionaries): the output lines, each without an error."""
        file = self.new_path("records.jsonl")
        file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        lines = [json.loads(line) for line in self.run("score", "--raw", "--model", model, "--input", file,
                                                       *flags).splitlines()]
        assert len(lines) == len(records), f"{len(lines)} lines for {len(records)} records"
        return lines

    def rewards(self, model, sequences, *flags):
        """Raw rewards of token sequences: every other one as a record of its own, the rest as answers that share
        a prompt, so that both ways of packing are compared."""
        alone, together = sequences[::2], sequences[1::2]
        records = [{"prompt_ids": ids[:1], "response_ids": [ids[1:]]} for ids in alone]
        records.append({"prompt_ids": [], "response_ids": together})
        lines = self.score(model, records, *flags)
        result = [None] * len(sequences)
        result[::2] = [line["rewards"][0] for line in lines[:-1]]
        result[1::2] = lines[-1]["rewards"]
        return result

    def probe(self, model, sequences, *flags):
        """{"hidden", "logits" or "scores"} of the last position of each sequence."""
        file = self.new_path("ids.jsonl")
        file.write_text("".join(json.dumps({"ids": ids}) + "\n" for ids in sequences), encoding="utf-8")
        output = self.run("model", "probe", "--model", model, "--input", file, *flags)
        return [json.loads(line) for line in output.splitlines()]

    def expert_scores(self, model, sequences, task):
        """Raw scores by point of a task's experts."""
        lines = self.score(model, [{"task": task, "prompt_ids": [], "response_ids": [ids]} for ids in sequences])
        return {point: [line["experts"][point][0] for line in lines] for point in lines[0]["experts"]}

    def import_model(self, base, adapters=None, task="task", extra=""):
        """The model of one task with these adapters (by point) over a base, their sum where there are several."""
        lines = [f'base = "{base}"', 'chat_format = "plain"', "max_tokens = 512", extra, "[[task]]", f'name = "{task}"']
        experts = ", ".join(f'{{point = "{point}", path = "{path}"}}' for point, path in (adapters or {}).items())
        if adapters:
            lines.append(f"experts = [{experts}]")
            lines.append(f"sum = {[1.0] * len(adapters)}")
        config = self.new_path("import.toml")
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        out = self.new_path("model")
        self.run("model", "import", config, "--out", out)
        return out

    def export(self, model, form, task=None, point=None):
        out = self.new_path(form)
        flags = (["--task", task] if task else []) + (["--expert", point] if point else [])
        self.run("model", "export", model, "--as", form, "--out", out, *flags)
        return out
