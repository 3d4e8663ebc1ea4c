"""Times an update of a program beside the same network described: `python benchmarks/programs.py vae1 bandit2`."""

import sys
import time

import jax
import jax.numpy as jnp
import optax

import hnca


def timeit(fs, n=30, rounds=9):
    for f, a in fs:
        jax.block_until_ready(f(*a))
    res = [[] for _ in fs]
    for _ in range(rounds):
        for i, (f, a) in enumerate(fs):
            t = time.time()
            for _ in range(n):
                out = f(*a)
            jax.block_until_ready(out)
            res[i].append((time.time() - t) / n * 1e3)
    return [sorted(r)[len(r) // 2] for r in res]


def compile_time(f, a):
    start = time.time()
    lowered = f.lower(*a)
    traced = time.time()
    lowered.compile()
    return traced - start, time.time() - traced, len(lowered.as_text().splitlines())


k = jax.random.split(jax.random.key(0), 8)
B = 50
xs = (jax.random.uniform(k[0], (B, 784)) > 0.7).astype(jnp.float32)
keys = jax.random.split(k[1], B)


def vae(layers, style):
    enc = {}
    for depth in range(layers):
        enc[f"h{depth}"] = hnca.Bernoulli(
            hnca.Dense("image" if depth == 0 else f"h{depth - 1}", 784 if depth == 0 else 200, 200, key=k[2 + depth])
        )
    dec = {f"h{layers - 1}": hnca.Bernoulli(hnca.Free(200))}
    for depth in range(layers - 1):
        dec[f"h{depth}"] = hnca.Bernoulli(hnca.Dense(f"h{depth + 1}", 200, 200, key=k[5 + depth]))
    dec["image"] = hnca.Bernoulli(hnca.Dense("h0", 200, 784, key=k[7]))
    encoder = hnca.Network(enc, inputs={"image": 784})
    decoder = hnca.Network(dec)

    def described(enc, dec, key, xs):
        v, e = hnca.estimate(hnca.HNCA(), enc, hnca.ELBO(enc, dec), {"image": xs}, key=key)
        return v, e.gradient, e.objective_gradient

    def loss(params, key, x):
        enc, dec = params
        ks = jax.random.split(key, layers)
        val = 0.0
        h = x
        hs = []
        for depth in range(layers):
            c = enc.layers[f"h{depth}"].conditional
            a = h @ c.weights[0] + c.bias
            if style == "named":
                val += hnca.entropy(a).sum()
            else:
                val += jnp.sum(jax.nn.softplus(a) - a * jax.nn.sigmoid(a))
            h = hnca.bernoulli(ks[depth], a)
            hs.append(h)
        top = dec.layers[f"h{layers - 1}"].conditional.bias
        val += jnp.sum(hs[-1] * top - jax.nn.softplus(top))
        for depth in range(layers - 1):
            c = dec.layers[f"h{depth}"].conditional
            a = hs[depth + 1] @ c.weights[0] + c.bias
            val -= optax.sigmoid_binary_cross_entropy(a, hs[depth]).sum()
        c = dec.layers["image"].conditional
        a = hs[0] @ c.weights[0] + c.bias
        return val - optax.sigmoid_binary_cross_entropy(a, x).sum()

    program = jax.jit(hnca.value_and_grad(loss, in_axes=(None, 0, 0)))
    return (jax.jit(described), (encoder, decoder, jax.random.key(1), xs)), (program, ((encoder, decoder), keys, xs))


def bandit(layers):
    net = {}
    for depth in range(layers):
        net[f"h{depth}"] = hnca.Bernoulli(
            hnca.Dense("image" if depth == 0 else f"h{depth - 1}", 784 if depth == 0 else 200, 200, key=k[2 + depth]),
            values=(-1, 1),
        )
    net["action"] = hnca.Categorical(hnca.Dense(f"h{layers - 1}", 200, 10, key=k[6]))
    net = hnca.Network(net, inputs={"image": 784})
    labels = jnp.arange(B) % 10

    def described(net, key, xs, labels):
        tr = net.sample(key, {"image": xs})
        r = (tr["action"][:, 0] == labels).astype(jnp.float32)
        return hnca.HNCA()(net, hnca.Reward("action", r), tr).gradient

    def loss(net, key, x, label):
        ks = jax.random.split(key, layers + 1)
        h = x
        for depth in range(layers):
            c = net.layers[f"h{depth}"].conditional
            h = hnca.bernoulli(ks[depth], h @ c.weights[0] + c.bias, values=(-1, 1))
        c = net.layers["action"].conditional
        z = hnca.categorical(ks[layers], h @ c.weights[0] + c.bias)
        return hnca.observed((z == label).astype(jnp.float32))

    return (jax.jit(described), (net, jax.random.key(1), xs, labels)), (
        jax.jit(hnca.grad(loss, in_axes=(None, 0, 0, 0))),
        (net, keys, xs, labels),
    )


which = sys.argv[1:] or ["vae1", "vae2", "bandit1", "bandit2"]
for w in which:
    pair = vae(int(w[3:]), "plain") if w.startswith("vae") else bandit(int(w[6:]))
    cs = [compile_time(f, a) for f, a in pair]
    r = timeit(pair)
    described, program = r
    print(f"{w}: described {described:.2f} ms, program {program:.2f} ms, ratio {program / described:.2f}")
    for name, (traced, compiled, lines) in zip(("described", "program"), cs, strict=True):
        print(f"  {name}: traced in {traced:.2f} s, compiled in {compiled:.2f} s, {lines} lines of HLO")
