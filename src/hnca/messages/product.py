"""placeholder"""

import jax
import jax.numpy as jnp


def product_message(weight, span, a, c, x):
    d = span * weight
    s = 1 - 2 * x
    delta = s[..., :, None] * d.reshape((1,) * (x.ndim - 1) + d.shape)
    aj = a[..., None, :]
    flip = jnp.sum(c[..., None, :] * delta - (jax.nn.softplus(aj + delta) - jax.nn.softplus(aj)), -1)
    return s * flip


softplus_sum = None
