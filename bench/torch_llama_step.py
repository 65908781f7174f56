#!/usr/bin/python3
"""Times one training step of a small Llama in PyTorch, on the CPU, in fp32.

The other side of bench/compare_torch: the same shape, sequence and batch as
`aneroid bench step`, written as a PyTorch user would write it for speed:
tied embeddings, RMSNorm, RoPE, attention as bmm + mask + softmax + bmm,
SwiGLU, cross-entropy, AdamW. Weights and tokens are random.

    scripts/bootstrap --compare             # Debian's PyTorch 1.13, OpenBLAS
    bench/torch_llama_step.py --iterations 10
    bench/torch_llama_step.py --serve       # one iteration per line of stdin

Everything that PyTorch's libraries read from the environment is set here,
before they load (the script starts itself again):

  - OpenBLAS built for OpenMP, so that it shares PyTorch's threads.
  - OPENBLAS_CORETYPE: OpenBLAS does not know CPUs newer than itself and takes
    a slow kernel set for them. Every set that may run here is tried on the
    products of the step; the fastest whose results are exactly right is used
    (--coretype NAME or none overrides). What was found is in the output.
  - ATEN_CPU_CAPABILITY=avx512 where the CPU has it: PyTorch 1.13 would
    otherwise stay with AVX2.
"""

import argparse
import glob
import json
import os
import platform
import subprocess
import sys
import time

MODELS = {  # as aneroid/model/presets
    "stories15m": dict(dim=288, hidden=768, layers=6, heads=6, kv_heads=6),
    "stories42m": dict(dim=512, hidden=1376, layers=8, heads=8, kv_heads=8),
    "stories110m": dict(dim=768, hidden=2048, layers=12, heads=12,
                        kv_heads=12),
}
# Sets of OpenBLAS kernels worth a try on x86-64: its own choice, AVX2, AVX-512
# (Zen and Cooperlake repeat them for fp32). Elsewhere only its own choice.
CORE_TYPES = ["none", "Haswell", "SkylakeX"]
PREPARED = "ANEROID_TORCH_PREPARED"  # what was found, for the second start


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="stories110m")
    for name in ("dim", "hidden", "layers", "heads", "kv-heads"):
        parser.add_argument("--" + name, type=int,
                            help="in place of the model's")
    parser.add_argument("--vocab", type=int, default=32000)
    parser.add_argument("--seq", type=int, default=256)
    parser.add_argument("--threads", type=int,
                        default=len(os.sched_getaffinity(0)))
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--coretype", default="auto",
                        help="OPENBLAS_CORETYPE: auto, none, or a name")
    parser.add_argument("--serve", action="store_true",
                        help="an iteration and a JSON line per line of stdin")
    parser.add_argument("--probe", choices=["exact", "speed"],
                        help=argparse.SUPPRESS)  # one trial of a core type
    return parser.parse_args()


# ----------------------------------------------------------- the environment


def cpu_has_avx512():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = next((line for line in file if line.startswith("flags")),
                         "").split()
    except OSError:
        return False
    return all(f in flags
               for f in ("avx512f", "avx512bw", "avx512dq", "avx512vl"))


def environment_for(core_type, threads):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads))
    env.pop("OPENBLAS_L2_SIZE", None)
    env.pop("OPENBLAS_CORETYPE", None)
    if core_type != "none":
        env["OPENBLAS_CORETYPE"] = core_type
    if cpu_has_avx512():
        env["ATEN_CPU_CAPABILITY"] = "avx512"
    for folder in glob.glob("/usr/lib/*/openblas-openmp"):
        env["LD_LIBRARY_PATH"] = folder
    return env


def probe(kind, core_type, threads):
    """One trial in a process of its own, since it may crash."""
    run = subprocess.run(
        [sys.executable, __file__, "--probe", kind, "--threads", str(threads)],
        env=environment_for(core_type, threads), capture_output=True,
        text=True, check=False)
    if run.returncode == 0:
        return json.loads(run.stdout)
    return {"error": f"exit code {run.returncode}: {run.stderr[-200:].strip()}"}


def probe_core_types(threads):
    """Core type -> {"exact", "gflops"} or {"error"}.

    The speeds are taken in turn, round after round, and the best counts: what
    else the computer does must not decide.
    """
    x86 = platform.machine() in ("x86_64", "AMD64")
    found = {core_type: probe("exact", core_type, threads)
             for core_type in (CORE_TYPES if x86 else ["none"])}
    for _ in range(3):
        for core_type, result in found.items():
            if result.get("exact"):
                speed = probe("speed", core_type, threads).get("gflops", 0)
                result["gflops"] = max(result.get("gflops", 0), speed)
    return found


def start_again_prepared(args):
    if args.coretype == "auto":
        found = probe_core_types(args.threads)
        good = {core_type: result["gflops"]
                for core_type, result in found.items() if result.get("exact")}
        if not good:
            sys.exit(f"torch_llama_step: no usable OpenBLAS kernels: {found}")
        chosen = max(good, key=good.get)
    else:
        found, chosen = {}, args.coretype
    env = environment_for(chosen, args.threads)
    env[PREPARED] = json.dumps({"coretype": chosen, "probes": found})
    os.execve(sys.executable, [sys.executable] + sys.argv, env)


def probe_exactness():
    """Are products of the step's kinds exactly right?

    Operands are small whole numbers, so that every sum is exact in fp32 and
    integer arithmetic, which uses no BLAS, gives the very same result.
    """
    for m, k, n in [(256, 768, 768), (256, 768, 2048), (256, 2048, 768),
                    (768, 256, 2048), (256, 64, 256), (17, 33, 4097)]:
        a = torch.randint(-4, 5, (m, k))
        b = torch.randint(-4, 5, (k, n))
        expected = a @ b
        a, b = a.float(), b.float()
        for left, right in [(a, b), (a.t().contiguous().t(), b),
                            (a, b.t().contiguous().t())]:
            if not torch.equal((left @ right).long(), expected):
                return {"exact": False}
    return {"exact": True}


def probe_speed():
    a, b = torch.randn(256, 768), torch.randn(4096, 768)

    def product():
        return a @ b.t()

    for _ in range(5):
        product()
    best_ms = min(timed(product) for _ in range(50))
    return {"gflops": round(2e-6 * 256 * 768 * 4096 / best_ms)}


# ------------------------------------------------------------------ the model


def timed(function):
    """Milliseconds of one call."""
    begin = time.perf_counter()
    function()
    return (time.perf_counter() - begin) * 1e3


class Llama:
    """Parameters in a list; forward() as functions, for no overhead."""

    def __init__(self, shape):
        self.shape = shape
        self.head_dim = shape["dim"] // shape["heads"]
        torch.manual_seed(1)
        dim, hidden = shape["dim"], shape["hidden"]
        kv_dim = self.head_dim * shape["kv_heads"]
        self.parameters = []
        self.embedding = self.weight(shape["vocab"], dim)
        self.layers = [
            dict(attention_norm=self.gain(dim), wq=self.weight(dim, dim),
                 wk=self.weight(kv_dim, dim), wv=self.weight(kv_dim, dim),
                 wo=self.weight(dim, dim), ffn_norm=self.gain(dim),
                 w1=self.weight(hidden, dim), w2=self.weight(dim, hidden),
                 w3=self.weight(hidden, dim)) for _ in range(shape["layers"])]
        self.norm = self.gain(dim)
        self.cos, self.sin = self.rope_tables(shape["seq"])
        # Added to the scores: minus infinity where the key is in the future.
        self.mask = torch.full((shape["seq"], shape["seq"]),
                               float("-inf")).triu(1)

    def weight(self, *size):
        return self.add(torch.randn(*size) * 0.02)

    def gain(self, size):
        return self.add(torch.ones(size))

    def add(self, tensor):
        self.parameters.append(tensor.requires_grad_())
        return tensor

    def rope_tables(self, length):
        frequency = 10000.0 ** (
            -torch.arange(0, self.head_dim, 2).float() / self.head_dim)
        angle = torch.outer(torch.arange(length).float(), frequency)
        return angle.cos(), angle.sin()  # [S, HD / 2]

    def rms_norm(self, x, gain):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * gain

    def rope(self, x):  # [heads, S, HD]
        first, second = x.chunk(2, -1)
        return torch.cat((first * self.cos - second * self.sin,
                          first * self.sin + second * self.cos), -1)

    def heads(self, x, count):  # [S, count * HD] -> [count, S, HD]
        return x.view(-1, count, self.head_dim).transpose(0, 1)

    def attention(self, x, layer):
        count, kv_count = self.shape["heads"], self.shape["kv_heads"]
        q = self.rope(self.heads(F.linear(x, layer["wq"]), count))
        k = self.rope(self.heads(F.linear(x, layer["wk"]), kv_count))
        v = self.heads(F.linear(x, layer["wv"]), kv_count)
        if kv_count != count:
            k = k.repeat_interleave(count // kv_count, 0)
            v = v.repeat_interleave(count // kv_count, 0)
        # baddbmm: scale and mask within the product.
        scores = torch.baddbmm(self.mask, q, k.transpose(1, 2),
                               alpha=self.head_dim ** -0.5)
        mixed = torch.bmm(F.softmax(scores, -1), v)
        return F.linear(mixed.transpose(0, 1).reshape(x.shape), layer["wo"])

    def ffn(self, x, layer):
        gate = F.silu(F.linear(x, layer["w1"]))
        return F.linear(gate * F.linear(x, layer["w3"]), layer["w2"])

    def loss(self, tokens, targets):
        x = F.embedding(tokens, self.embedding)
        for layer in self.layers:
            x = x + self.attention(self.rms_norm(x, layer["attention_norm"]),
                                   layer)
            x = x + self.ffn(self.rms_norm(x, layer["ffn_norm"]), layer)
        logits = F.linear(self.rms_norm(x, self.norm), self.embedding)
        return F.cross_entropy(logits, targets)


class Step:
    """One sequence forward and backward, one update."""

    def __init__(self, shape):
        self.model = Llama(shape)
        # foreach: one call per kind of arithmetic, not one per parameter.
        self.optimizer = torch.optim.AdamW(self.model.parameters, lr=1e-4,
                                           foreach=True)
        tokens = torch.randint(0, shape["vocab"], (shape["seq"] + 1,))
        self.tokens, self.targets = tokens[:-1], tokens[1:]
        self.value = None

    def forward(self):
        self.value = self.model.loss(self.tokens, self.targets)

    def run(self):
        times = {"forward_ms": timed(self.forward),
                 "backward_ms": timed(self.value.backward),
                 "optimizer_ms": timed(self.optimizer.step)}
        self.optimizer.zero_grad(set_to_none=True)
        return {**{k: round(v, 3) for k, v in times.items()},
                "loss": round(self.value.item(), 4)}


def shape_of(args):
    shape = dict(MODELS[args.model])
    for name in shape:
        if getattr(args, name) is not None:
            shape[name] = getattr(args, name)
    shape.update(vocab=args.vocab, seq=args.seq)
    if shape["dim"] % (2 * shape["heads"]) or (
            shape["heads"] % shape["kv_heads"]):
        sys.exit("torch_llama_step: dim must be a multiple of twice the heads,"
                 " heads a multiple of kv-heads")
    return shape


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    if args.probe:
        print(json.dumps(probe_exactness() if args.probe == "exact"
                         else probe_speed()))
        return

    shape = shape_of(args)
    step = Step(shape)
    for _ in range(args.warmup):
        step.run()
    about = {
        "model": args.model, "shape": shape,
        "parameters": sum(p.numel() for p in step.model.parameters),
        "torch": torch.__version__, "threads": torch.get_num_threads(),
        "cpu_capability": os.environ.get("ATEN_CPU_CAPABILITY", "default"),
        "openblas": json.loads(os.environ[PREPARED])}
    if args.serve:
        print(json.dumps(about), flush=True)
        for _ in sys.stdin:
            print(json.dumps(step.run()), flush=True)
    else:
        about["iterations"] = [step.run() for _ in range(args.iterations)]
        print(json.dumps(about))


if __name__ == "__main__":
    if PREPARED not in os.environ and "--probe" not in sys.argv:
        start_again_prepared(parse_arguments())
    # After the environment is settled: loading them reads it.
    try:
        import torch
        import torch.nn.functional as F
    except ImportError as error:
        sys.exit(f"torch_llama_step: {error}; run scripts/bootstrap --compare,"
                 " and use the system's python3")
    main()
