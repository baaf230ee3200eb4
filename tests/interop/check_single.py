#!/usr/bin/env python3
"""Compares `dmoerm score` with AutoModelForSequenceClassification. See README.md for how to run it."""
import argparse
import pathlib
import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from compare import check

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model", help="folder written by dmoerm train, kind single")
parser.add_argument("records", help="JSONL of ids or of raw text")
parser.add_argument("scores", help="output of dmoerm score --raw for them")
args = parser.parse_args()
model = AutoModelForSequenceClassification.from_pretrained(args.model, dtype=torch.float32)
tokenizer = None
if (pathlib.Path(args.model) / "tokenizer.json").exists():
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    if tokenizer.pad_token_id != model.config.pad_token_id:
        sys.exit(f"{args.model}: padding token {model.config.pad_token_id} in config.json, "
                 f"{tokenizer.pad_token_id} in the tokenizer")
check(model, tokenizer, args.records, args.scores)
