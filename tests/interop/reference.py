"""What transformers and PEFT compute: float32, on the CPU."""
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

BATCH = 8


def classifier(path, **settings):
    return AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32, **settings).eval()


def language_model(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


def with_adapter(base, adapter):
    """A PEFT model read from disk over a base read from disk, with the head of the adapter."""
    return PeftModel.from_pretrained(classifier(base, num_labels=1), adapter).eval()


@torch.no_grad()
def scores(model, sequences, label=0, batch=1):
    """Of the label, in right-padded batches."""
    pad = model.config.pad_token_id
    result = []
    for begin in range(0, len(sequences), batch):
        part = sequences[begin:begin + batch]
        longest = max(map(len, part))
        ids = torch.tensor([s + [pad] * (longest - len(s)) for s in part])
        mask = torch.tensor([[1] * len(s) + [0] * (longest - len(s)) for s in part])
        result += model(input_ids=ids, attention_mask=mask).logits[:, label].double().tolist()
    return result


@torch.no_grad()
def last_logits(model, sequences):
    """Of the last position of each sequence, one after another."""
    return [x for ids in sequences for x in model(input_ids=torch.tensor([ids])).logits[0, -1].double().tolist()]


@torch.no_grad()
def last_states(model, sequences):
    """After the final norm."""
    return [x for ids in sequences
            for x in model.base_model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1].double().tolist()]


def random_sequences(model_config, count=13, seed=1):
    """Ids that no pad, begin or end token is among; some share their beginning, some are longer than a window."""
    generator = torch.Generator().manual_seed(seed)
    special = {model_config.pad_token_id, model_config.bos_token_id, model_config.eos_token_id}
    allowed = [i for i in range(model_config.vocab_size) if i not in special]
    draw = lambda n: [allowed[i] for i in torch.randint(len(allowed), (n,), generator=generator).tolist()]
    shared = draw(9)
    return [(shared if k % 3 == 1 else []) + draw(2 + 4 * k) for k in range(count)]
