"""What both checks share: reads records and our scores, scores with a transformers model, compares."""
import json
import sys

import torch

TOLERANCE = 1e-4  # of the largest reward
BATCH = 8


def sequences_of(record, tokenizer):
    """Token ids of each answer behind the prompt: given, or those of raw text closed by the end token."""
    if "prompt_ids" in record:
        return [record["prompt_ids"] + response for response in record["response_ids"]]
    if tokenizer is None or not isinstance(record["prompt"], str):
        sys.exit(f"record {record.get('id')}: expected prompt_ids and response_ids, or a text prompt and a tokenizer")
    sequences = [tokenizer(record["prompt"] + response)["input_ids"] for response in record["responses"]]
    end = tokenizer.eos_token_id
    return [ids if ids[-1] == end else ids + [end] for ids in sequences]


def read(records_path, scores_path, tokenizer):
    """All sequences and our reward of each, in one order."""
    with open(records_path, encoding="utf-8") as file:
        records = [json.loads(line) for line in file if line.strip()]
    with open(scores_path, encoding="utf-8") as file:
        scores = [json.loads(line) for line in file if line.strip()]
    if len(records) != len(scores):
        sys.exit(f"{scores_path}: {len(scores)} lines, expected {len(records)} as in {records_path}")
    sequences, ours = [], []
    for record, score in zip(records, scores):
        if "error" in score:
            sys.exit(f"{scores_path}: record {score['id']}: {score['error']}")
        answers = sequences_of(record, tokenizer)
        if len(score["rewards"]) != len(answers):
            sys.exit(f"{scores_path}: record {score['id']}: {len(score['rewards'])} rewards, expected {len(answers)}")
        sequences += answers
        ours += score["rewards"]
    if not sequences:
        sys.exit(f"{records_path}: no sequences to compare")
    return sequences, torch.tensor(ours, dtype=torch.float64)


@torch.no_grad()
def scores_of(model, sequences, batch):
    """Scores in right-padded batches."""
    pad = model.config.pad_token_id
    if pad is None and batch > 1:
        sys.exit("the model's config.json has no pad_token_id, so it cannot score batches")
    result = []
    for begin in range(0, len(sequences), batch):
        part = sequences[begin:begin + batch]
        longest = max(map(len, part))
        ids = torch.tensor([s + [pad] * (longest - len(s)) for s in part])
        mask = torch.tensor([[1] * len(s) + [0] * (longest - len(s)) for s in part])
        logits = model(input_ids=ids, attention_mask=mask).logits
        if logits.shape[1] != 1:
            sys.exit(f"the model has {logits.shape[1]} labels, expected one")
        result.append(logits[:, 0].double())
    return torch.cat(result)


def check(model, tokenizer, records_path, scores_path):
    """Prints the largest difference alone and batched; exits with 1 when one is too large."""
    sequences, ours = read(records_path, scores_path, tokenizer)
    model.eval()
    good = True
    for name, batch in (("alone", 1), (f"in batches of {BATCH}", BATCH)):
        theirs = scores_of(model, sequences, batch)
        difference = (ours - theirs).abs().max().item()
        allowed = TOLERANCE * theirs.abs().max().item()
        fine = difference <= allowed  # false for NaN
        good = good and fine
        print(f"{name}: {len(sequences)} sequences, largest difference {difference:.3g}, allowed {allowed:.3g}: "
              f"{'equal' if fine else 'DIFFERENT'}")
    sys.exit(0 if good else 1)
