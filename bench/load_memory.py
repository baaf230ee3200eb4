#!/usr/bin/env python3
"""Peak memory and bytes read when a large checkpoint of random weights is loaded and one sequence scored.

bench/load_memory.py build/cpu/dmoerm [GIGABYTES [DTYPE]]

Writes a Llama checkpoint in bfloat16 into the temporary folder, drops it from the page cache, runs
`dmoerm model probe`, and deletes it. Prints the weights' size in the compute type beside the peak.
"""
import json, os, random, resource, struct, subprocess, sys, tempfile, time

D, F, HEADS, V = 2048, 8192, 16, 32000


def shapes(layers):
    yield "model.embed_tokens.weight", (V, D)
    for n in range(layers):
        for name in "qkvo":
            yield f"model.layers.{n}.self_attn.{name}_proj.weight", (D, D)
        for name, shape in (("gate", (F, D)), ("up", (F, D)), ("down", (D, F))):
            yield f"model.layers.{n}.mlp.{name}_proj.weight", shape
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"model.layers.{n}.{name}.weight", (D,)
    yield "model.norm.weight", (D,)
    yield "score.weight", (1, D)


def numel(shape):
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def write(directory, gigabytes):
    layer = 4 * D * D + 3 * D * F + 2 * D
    layers = round((gigabytes * 1e9 / 2 - V * D) / layer)
    header, offset = {}, 0
    for name, shape in shapes(layers):
        size = 2 * numel(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    block = bytearray(random.Random(1).randbytes(1 << 20))
    block[1::2] = bytes(0x3C | b & 0x80 for b in block[1::2])  # about ±0.01
    path = os.path.join(directory, "model.safetensors")
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for left in range(offset, 0, -len(block)):
            file.write(block[: min(left, len(block))])
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    config = {"model_type": "llama", "architectures": ["LlamaForSequenceClassification"], "vocab_size": V,
              "hidden_size": D, "intermediate_size": F, "num_hidden_layers": layers, "num_attention_heads": HEADS,
              "num_labels": 1, "rms_norm_eps": 1e-5}
    with open(os.path.join(directory, "config.json"), "w") as file:
        json.dump(config, file)
    return os.path.getsize(path), offset


def main():
    program, gigabytes = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 3
    dtype = sys.argv[3] if len(sys.argv) > 3 else "float32"
    with tempfile.TemporaryDirectory() as directory:
        stored, weights = write(directory, gigabytes)
        begin = time.time()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([program, "model", "probe", "--model", directory, "--dtype", dtype], check=True,
                       input=b'{"ids": [1, 5, 9, 33]}\n', stdout=subprocess.DEVNULL)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        computed = weights * (2 if dtype == "float32" else 1)
        print(f"stored {stored / 1e9:.3f} GB; read from disk {(usage.ru_inblock - before.ru_inblock) * 512 / 1e9:.3f} GB")
        print(f"weights in {dtype} {computed / 1e9:.3f} GB; peak resident {usage.ru_maxrss * 1024 / 1e9:.3f} GB")
        print(f"{time.time() - begin:.1f} s, {usage.ru_majflt - before.ru_majflt} major faults")


main()
