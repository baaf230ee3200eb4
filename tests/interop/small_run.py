"""A small base, a plain reward model and a double-layer model trained by dmoerm, and what is exported from them."""
import json
import random

from transformers import AutoTokenizer

import reference

TASKS = """
[[task]]
name = "chat"
points = ["readability", "specificity"]
[[task]]
name = "text"
points = ["conciseness", "specificity", "readability"]
"""
BASE = """
out = "{out}/base"
tokenizer = "{out}/tokenizer"
chat_format = "chatml"
sequence_length = 64
[model]
hidden_size = 32
intermediate_size = 48
layers = 2
heads = 4
[[data]]
file = "{out}/text.txt"
[train]
max_steps = 8
batch = 8
"""
SINGLE = """
kind = "single"
out = "{out}/single"
base = "{out}/base/model"
chat_format = "chatml"
max_tokens = 128
[[data]]
files = ["{out}/train.jsonl"]
[train]
epochs = 4.0
batch = 4
lr = 5e-3
"""
DOUBLE = """
kind = "double_layer"
out = "{out}/double"
base = "{out}/base/model"
chat_format = "chatml"
max_tokens = 128
labels = ["{out}/labels.jsonl"]
tasks = "{out}/tasks.toml"
[[data]]
files = ["{out}/train.jsonl"]
[phase1]
form = "lora"
lora = {{rank = 4, alpha = 8}}
epochs = 4.0
batch = 4
lr = 1e-2
[phase2]
epochs = 4.0
batch = 4
lr = 1e-2
"""


def prepare(program, out):
    """Random words, ranked by length."""
    draw = random.Random(5)
    words = [f"{a}{b}" for a in ("sun", "sea", "moon", "wind", "stone", "leaf") for b in ("", "s", "light", "-wise", ", ")]
    sentence = lambda n: " ".join(draw.choice(words) for _ in range(n)).strip() + "."
    (out / "text.txt").write_text("\n".join(sentence(draw.randint(4, 12)) for _ in range(400)) + "\n")
    records = []
    for number in range(60):
        answers = sorted({sentence(draw.randint(1, 9)) for _ in range(3)}, key=len)
        records.append({"id": str(number), "task": ("chat", "text")[number % 2], "responses": answers,
                        "prompt": [{"role": "user", "content": f"{number} {sentence(4)}"}],
                        "ranks": list(range(1, len(answers) + 1))})
    (out / "train.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    for name, text in (("tasks", TASKS), ("base", BASE), ("single", SINGLE), ("double", DOUBLE)):
        (out / f"{name}.toml").write_text(text.format(out=out))
    program.run("tokenizer", "train", "--input", out / "text.txt", "--vocab-size", 400, "--chat-format", "chatml",
                "--out", out / "tokenizer")
    program.run("pretrain", out / "base.toml")
    program.run("label", "--data", out / "train.jsonl", "--judge", "builtin", "--tasks", out / "tasks.toml", "--out",
                out / "labels.jsonl")
    program.run("train", out / "single.toml")
    program.run("train", out / "double.toml")
    return records


def chat_ids(tokenizer, records):
    """Each answer's ids as a user of transformers gets them: by the chat template."""
    texts = [tokenizer.apply_chat_template(record["prompt"] + [{"role": "assistant", "content": answer}], tokenize=False)
             for record in records for answer in record["responses"]]
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


def raw_ids(tokenizer, records):
    """Raw text is closed by the end token."""
    return [tokenizer(record["prompt"] + answer)["input_ids"] + [tokenizer.eos_token_id]
            for record in records for answer in record["responses"]]


def check_classifier(report, name, folder, ours, records, ids_of):
    """`ours`: the rewards of all answers in order."""
    model, tokenizer = reference.classifier(folder), AutoTokenizer.from_pretrained(folder)
    report.true(f"{name}: one padding token", tokenizer.pad_token_id == model.config.pad_token_id,
                f"{tokenizer.pad_token_id} in the tokenizer, {model.config.pad_token_id} in config.json")
    sequences = ids_of(tokenizer, records)
    report.equal(name, ours, reference.scores(model, sequences))
    report.equal(f"{name}, batched", ours, reference.scores(model, sequences, batch=reference.BATCH))


def check(report, name, program):
    out = program.new_path("trained")
    out.mkdir()
    records = prepare(program, out)[:12]
    rewards = lambda lines: [x for line in lines for x in line["rewards"]]

    single = out / "single" / "model"
    check_classifier(report, f"{name} single model, messages", single, rewards(program.score(single, records)), records, chat_ids)
    texts = [{"prompt": f"A text {k}. ", "responses": ["One.", f"Two or {k} more stones."]} for k in range(5)]
    check_classifier(report, f"{name} single model, raw text", single, rewards(program.score(single, texts)), texts, raw_ids)

    double = out / "double" / "model"
    for task in ("chat", "text"):
        own = [record for record in records if record["task"] == task]
        lines = program.score(double, own)
        for point in lines[0]["experts"]:
            ours = [x for line in lines for x in line["experts"][point]]
            merged = program.export(double, "classifier", task, point)
            check_classifier(report, f"{name} {task} {point}, merged", merged, ours, own, chat_ids)
            adapter = program.export(double, "adapter", task, point)
            named = json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
            sequences = chat_ids(AutoTokenizer.from_pretrained(adapter), own)
            theirs = reference.scores(reference.with_adapter(named, adapter), sequences)
            report.equal(f"{name} {task} {point}, adapter", ours, theirs)
