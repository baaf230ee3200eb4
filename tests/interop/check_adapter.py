#!/usr/bin/env python3
"""Compares `dmoerm score --adapter` with transformers and peft. See README.md for how to run it."""
import argparse

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

from compare import check

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("base", help="folder of the base model")
parser.add_argument("adapter", help="PEFT folder with a score head")
parser.add_argument("records", help="JSONL of ids")
parser.add_argument("scores", help="output of dmoerm score --raw --adapter for them")
args = parser.parse_args()
base = AutoModelForSequenceClassification.from_pretrained(args.base, num_labels=1, dtype=torch.float32)
check(PeftModel.from_pretrained(base, args.adapter), None, args.records, args.scores)
