"""Adapters that PEFT makes and saves, with random weights, in every form that dmoerm reads."""
import json

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

from reference import classifier

# Forms that any decoder has, by name. Modules differ between families: `attention` and `mlp` are ends of names.
def forms(attention, mlp, prefix):
    first, last = attention[0], mlp[-1]
    return {
        "list": dict(r=4, lora_alpha=8, target_modules=attention),
        "one whole name": dict(r=2, lora_alpha=3, target_modules=[f"{prefix}.0.{first}"]),
        "expression": dict(r=3, lora_alpha=5, target_modules=rf".*\.(?:0|1)\..*{first.split('.')[-1]}"),
        "all-linear": dict(r=4, lora_alpha=4, target_modules="all-linear"),
        # Where two patterns match, the first counts, and PEFT writes them sorted: in another order it cannot read its own.
        "rslora, patterns": dict(
            r=4, lora_alpha=6, use_rslora=True, target_modules=attention + mlp,
            rank_pattern={rf"^{prefix}\.0\..*": 2, last.split(".")[-1]: 8},
            alpha_pattern={rf"{prefix}\.1\..*": 12, first.split(".")[-1]: 3}),
        "some layers": dict(r=4, lora_alpha=8, target_modules=mlp, layers_to_transform=[1], layers_pattern="layers"),
        "some layers, no pattern": dict(r=4, lora_alpha=8, target_modules=attention, layers_to_transform=0),
        "excluded": dict(r=4, lora_alpha=8, target_modules=attention + mlp, exclude_modules=rf".*\.0\..*{last}"),
        "saved twice, not there": dict(r=4, lora_alpha=8, target_modules=attention,
                                       modules_to_save=["score", "no_such_head"]),
        "dropout, gaussian": dict(r=4, lora_alpha=8, lora_dropout=0.2, init_lora_weights="gaussian",
                                  target_modules=attention),
    }


def randomise(model, seed):
    """Every LoRA and head, so that each of them changes the scores."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if ".lora_" in name or ".modules_to_save." in name:
            size = 0.1 if ".lora_B" in name else 1 / parameter.shape[-1] ** 0.5
            parameter.data = torch.randn(parameter.shape, generator=generator) * size


def make(base, directory, seed=1, **options):
    """One adapter, saved as PEFT saves it."""
    model = get_peft_model(classifier(base, num_labels=1), LoraConfig(task_type="SEQ_CLS", **options))
    randomise(model, seed)
    model.save_pretrained(directory, save_embedding_layers=False)


def make_several(base, directory, **options):
    """Two adapters over one model: PEFT writes the second into a sub-folder of its name."""
    config = LoraConfig(task_type="SEQ_CLS", **options)
    model = get_peft_model(classifier(base, num_labels=1), config)
    model.add_adapter("second", LoraConfig(task_type="SEQ_CLS", **options))
    randomise(model, 3)
    model.save_pretrained(directory, save_embedding_layers=False)


# The expert projections of a MoE layer by their old names: gate, up, down.
EXPERT_NAMES = {
    "mixtral": ("block_sparse_moe.experts", ("w1", "w3", "w2")),
    "qwen3_moe": ("mlp.experts", ("gate_proj", "up_proj", "down_proj")),
}


def make_per_expert(base, directory, rank=4, alpha=6, every_linear=False):
    """An adapter on every expert's projections as PEFT wrote them over transformers 4, and the model with it merged
    in, computed here: transformers 5 keeps the experts as gate_up_proj [E, 2 I, H] and down_proj [E, H, I]. With
    every_linear the attention's projections too, all under the name "all-linear", trained with dropout: what a
    dmoerm model may hold and PEFT does not read."""
    model = classifier(base, num_labels=1)
    folder, names = EXPERT_NAMES[model.config.model_type]
    generator = torch.Generator().manual_seed(7)
    tensors = {}

    def adapt(module, weight):
        a = torch.randn(rank, weight.shape[1], generator=generator) / weight.shape[1] ** 0.5
        b = torch.randn(weight.shape[0], rank, generator=generator) * 0.1
        weight += alpha / rank * b @ a
        tensors[f"{module}.lora_A.weight"], tensors[f"{module}.lora_B.weight"] = a, b

    with torch.no_grad():
        for number, layer in enumerate(model.model.layers):
            prefix = f"base_model.model.model.layers.{number}"
            if every_linear:
                for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
                    adapt(f"{prefix}.self_attn.{name}", getattr(layer.self_attn, name).weight)
            experts = layer.mlp.experts
            for e in range(experts.gate_up_proj.shape[0]):
                half = experts.gate_up_proj.shape[1] // 2
                targets = (experts.gate_up_proj[e, :half], experts.gate_up_proj[e, half:], experts.down_proj[e])
                for name, weight in zip(names, targets):
                    adapt(f"{prefix}.{folder}.{e}.{name}", weight)
        model.score.weight.copy_(torch.randn(model.score.weight.shape, generator=generator))
    tensors["base_model.model.score.weight"] = model.score.weight.clone()
    directory.mkdir(parents=True)
    save_file(tensors, directory / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {"peft_type": "LORA", "task_type": "SEQ_CLS", "base_model_name_or_path": str(base), "r": rank,
              "lora_alpha": alpha, "target_modules": "all-linear" if every_linear else list(names),
              "lora_dropout": 0.1 if every_linear else 0.0, "modules_to_save": ["score"], "bias": "none"}
    (directory / "adapter_config.json").write_text(json.dumps(config, indent=2))
    return model


# The fused form of PEFT 0.18 and later.
FUSED_FORMS = {
    "both parameters": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"],
                            target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]),
    "down alone": dict(r=2, lora_alpha=3, use_rslora=True, target_modules=["o_proj"],
                       target_parameters=["mlp.experts.down_proj"]),
    "parameters alone": dict(r=4, lora_alpha=8, target_modules=[],
                             target_parameters=["mlp.experts.down_proj", "mlp.experts.gate_up_proj"]),
    "patterns": dict(r=4, lora_alpha=8, target_modules=["q_proj"],
                     target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
                     rank_pattern={"mlp.experts.down_proj": 2}, alpha_pattern={"experts.gate_up_proj": 3}),
}
