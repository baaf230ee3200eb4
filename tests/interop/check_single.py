#!/usr/bin/env python3
"""Compares `dmoerm score` with transformers on a model of kind "single" (Python, torch and transformers needed).

    dmoerm score --model MODEL --input RECORDS --output SCORES --raw
    python3 tests/interop/check_single.py MODEL RECORDS SCORES

RECORDS are native records with text prompts. Every prompt + answer is scored alone, and in batches padded on the
right with the model's padding token. Exit status 1 when a reward differs by more than 1e-4 of the largest one.
"""
import json
import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def main(model_directory, records_file, scores_file):
    model = AutoModelForSequenceClassification.from_pretrained(model_directory, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(model_directory)
    padding = model.config.pad_token_id
    assert padding is not None and padding == tokenizer.pad_token_id, (padding, tokenizer.pad_token_id)

    sequences, ours = [], []
    with open(records_file) as records, open(scores_file) as scores:
        for record, score in zip(map(json.loads, records), map(json.loads, scores)):
            for response, reward in zip(record["responses"], score["rewards"]):
                ids = tokenizer(record["prompt"] + response)["input_ids"]
                if ids[-1] != tokenizer.eos_token_id:
                    ids.append(tokenizer.eos_token_id)
                sequences.append(ids)
                ours.append(reward)

    alone, batched = [], []
    with torch.no_grad():
        for ids in sequences:
            alone.append(model(torch.tensor([ids])).logits[0, 0].item())
        for begin in range(0, len(sequences), 16):
            batch = sequences[begin : begin + 16]
            width = max(map(len, batch))
            ids = torch.tensor([s + [padding] * (width - len(s)) for s in batch])
            mask = torch.tensor([[1] * len(s) + [0] * (width - len(s)) for s in batch])
            batched += model(ids, attention_mask=mask).logits[:, 0].tolist()

    largest = max(map(abs, ours))
    worst = {
        name: max(abs(a - b) for a, b in zip(theirs, ours)) / largest
        for name, theirs in (("alone", alone), ("batched", batched))
    }
    print(f"{len(sequences)} sequences; largest difference alone {worst['alone']:.1e}, batched {worst['batched']:.1e}")
    return 0 if max(worst.values()) <= 1e-4 else 1


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
