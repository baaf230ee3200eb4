#!/usr/bin/env python3
"""Compares all that dmoerm reads and writes with transformers 5 and PEFT. run.sh starts it; see README.md."""
import argparse
import json
import pathlib
import sys

import adapters
import reference
import small_run
from program import Program
from report import Report

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
LLAMA = (["self_attn.q_proj", "self_attn.v_proj"], ["mlp.up_proj", "mlp.down_proj"], "model.layers")
NEOX = (["attention.query_key_value", "attention.dense"], ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"], "gpt_neox.layers")
# Bases of the adapter checks, with their module names. Every form over the first two, some over the others.
BASES = {"llama-seq": LLAMA, "gpt_neox-seq": NEOX, "llama_tied_bias_sharded-seq": LLAMA, "qwen2-seq": LLAMA,
         "qwen3-seq": LLAMA, "mistral-seq": LLAMA, "gpt_neox_sequential-seq": NEOX, "llama-lm": LLAMA}
EVERY_FORM = ("llama-seq", "gpt_neox-seq")
SOME_FORMS = ("all-linear", "rslora, patterns")
FUSED_BASES = ["mixtral-seq", "qwen2_moe-seq", "qwen3_moe-seq"]
PER_EXPERT_BASES = ["mixtral-seq", "qwen3_moe-seq"]


def checkpoint(report, name, program, path):
    """A classifier read by both, and read by transformers as we write it again."""
    label = 1 if "labels3" in path.name else 0
    theirs = reference.classifier(path)
    sequences = reference.random_sequences(theirs.config)
    expected = reference.scores(theirs, sequences, label)
    flags = ["--label", label] if theirs.config.num_labels > 1 else []
    report.equal(f"{name}: read", program.rewards(path, sequences, *flags), expected)
    if theirs.config.num_labels > 1:
        return
    written = reference.classifier(program.export(program.import_model(path), "classifier"))
    report.equal(f"{name}: written again", reference.scores(written, sequences), expected)
    report.equal(f"{name}: written again, batched", reference.scores(written, sequences, batch=reference.BATCH), expected)


def probe(report, name, program, path):
    """A language model's logits and last state behind each of some sequences."""
    theirs = reference.language_model(path)
    sequences = reference.random_sequences(theirs.config)
    lines = program.probe(path, sequences)
    report.equal(f"{name}: logits", [x for line in lines for x in line["logits"]], reference.last_logits(theirs, sequences))
    report.equal(f"{name}: last states", [x for line in lines for x in line["hidden"]],
                 reference.last_states(theirs, sequences))


def adapter(report, name, program, base, directory):
    """An adapter of PEFT's, and the same as we write it: alone, and merged into its base."""
    theirs = reference.with_adapter(base, directory)
    sequences = reference.random_sequences(theirs.config)
    expected = reference.scores(theirs, sequences)
    report.equal(f"{name}: read", program.rewards(base, sequences, "--adapter", directory), expected)
    written(report, name, program, base, directory, sequences, expected)


def written(report, name, program, base, directory, sequences, expected):
    model = program.import_model(base, {"point": directory})
    again = reference.with_adapter(model / "base", program.export(model, "adapter"))
    report.equal(f"{name}: written again", reference.scores(again, sequences), expected)
    merged = reference.classifier(program.export(model, "classifier"))
    report.equal(f"{name}: merged", reference.scores(merged, sequences), expected)


def made_adapter(report, name, program, base, options):
    directory = program.new_path("peft")
    adapters.make(base, directory, **options)
    adapter(report, name, program, base, directory)


def several_adapters(report, name, program, base):
    directory = program.new_path("several")
    adapters.make_several(base, directory, r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
    adapter(report, f"{name}, first", program, base, directory)
    adapter(report, f"{name}, second", program, base, directory / "second")


def per_expert(report, name, program, base):
    directory = program.new_path("per-expert") / "adapter"
    merged = adapters.make_per_expert(base, directory)
    sequences = reference.random_sequences(merged.config)
    expected = reference.scores(merged, sequences)
    report.equal(f"{name}: read", program.rewards(base, sequences, "--adapter", directory), expected)
    report.equal(f"{name}: read by PEFT", reference.scores(reference.with_adapter(base, directory), sequences), expected)
    written(report, name, program, base, directory, sequences, expected)


def every_linear(report, name, program, base):
    directory = program.new_path("every-linear") / "adapter"
    merged = adapters.make_per_expert(base, directory, every_linear=True)
    sequences = reference.random_sequences(merged.config)
    expected = reference.scores(merged, sequences)
    report.equal(f"{name}: read", program.rewards(base, sequences, "--adapter", directory), expected)
    written(report, name, program, base, directory, sequences, expected)


def fixture_experts(report, name, program, path):
    """Experts of the fixtures: their scores in one model, and each as it is exported."""
    about = json.loads((path / "experts.json").read_text())
    base = FIXTURES / about["base"]
    points = {f"point{k}": path / f"expert{k}" for k in range(about["experts"])}
    model = program.import_model(base, points)
    sequences = reference.random_sequences(reference.classifier(base).config)
    ours = program.expert_scores(model, sequences, "task")
    for point, directory in points.items():
        expected = reference.scores(reference.with_adapter(base, directory), sequences)
        report.equal(f"{name} {point}: in a model", ours[point], expected)
        part = program.export(model, "model", "task")
        report.equal(f"{name} {point}: in an exported task", program.expert_scores(part, sequences, "task")[point], expected)
        exported = reference.with_adapter(part / "base", program.export(part, "adapter", "task", point))
        report.equal(f"{name} {point}: exported", reference.scores(exported, sequences), expected)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="the program dmoerm")
    parser.add_argument("out", type=pathlib.Path, help="a folder for all that is made; it must not exist yet")
    parser.add_argument("--only", default="", help="only checks whose name holds this text")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True)
    program, report = Program(arguments.program, arguments.out.resolve()), Report()

    def run(name, check, *rest):
        if arguments.only in name:
            report.run(name, check, program, *rest)

    for path in sorted(FIXTURES.glob("*-seq")):
        run(path.name, checkpoint, path)
    for path in sorted(FIXTURES.glob("*-lm")):
        run(path.name, probe, path)
    for path in sorted(FIXTURES.glob("*-experts*")):
        run(path.name, fixture_experts, path)
    for base, names in BASES.items():
        for form, options in adapters.forms(*names).items():
            if base in EVERY_FORM or form in SOME_FORMS:
                run(f"{base}, {form}", made_adapter, FIXTURES / base, options)
    run("llama-seq, several", several_adapters, FIXTURES / "llama-seq")
    for base in FUSED_BASES:
        for form, options in adapters.FUSED_FORMS.items():
            run(f"{base}, {form}", made_adapter, FIXTURES / base, options)
    for base in PER_EXPERT_BASES:
        run(f"{base}, every expert", per_expert, FIXTURES / base)
        run(f"{base}, every linear layer", every_linear, FIXTURES / base)
    run("trained", small_run.check)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
