"""Every JAX primitive whose name is relied on, and what is relied on. A test notices when one of them goes."""

# Whose results come from an inner jaxpr that has to be bound by way of a one-equation jaxpr.
CUSTOM_DERIVATIVES = {"custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
CALLS = frozenset(CUSTOM_DERIVATIVES)
# Likewise bound, and not looked into.
OPAQUE_CALLS = frozenset(["shard_map"])
# Where the inner jaxpr stands in the parameters of what is inlined.
ALWAYS_INLINED = {"jit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr"}
INLINED_AROUND_DRAWS = {"checkpoint": "jaxpr", "remat2": "jaxpr", "remat": "jaxpr", **CUSTOM_DERIVATIVES}
CONDITIONAL = ("cond", "while")
OBSERVING = ("pure_callback", "io_callback")

# Element i of the result reads element i of every argument (scalars go to all).
ELEMENTWISE = frozenset(
    [
        "add",
        "sub",
        "mul",
        "div",
        "rem",
        "max",
        "min",
        "neg",
        "sign",
        "abs",
        "exp",
        "exp2",
        "expm1",
        "log",
        "log1p",
        "sqrt",
        "rsqrt",
        "cbrt",
        "square",
        "sin",
        "cos",
        "tan",
        "tanh",
        "sinh",
        "cosh",
        "asin",
        "acos",
        "atan",
        "asinh",
        "acosh",
        "atanh",
        "atan2",
        "logistic",
        "erf",
        "erfc",
        "erf_inv",
        "lgamma",
        "digamma",
        "pow",
        "integer_pow",
        "floor",
        "ceil",
        "round",
        "is_finite",
        "and",
        "or",
        "not",
        "xor",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "select_n",
        "convert_element_type",
        "clamp",
        "nextafter",
        "stop_gradient",
        "copy",
        "copy_p",
        "shift_left",
        "shift_right_arithmetic",
        "shift_right_logical",
        "reduce_precision",
    ]
)
# Elements are moved, repeated or left out, never combined.
STRUCTURAL = frozenset(
    [
        "broadcast_in_dim",
        "reshape",
        "squeeze",
        "transpose",
        "slice",
        "rev",
        "expand_dims",
        "concatenate",
        "pad",
        "dynamic_slice",
        "gather",
    ]
)
REDUCTIONS = frozenset(
    ["reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "reduce_xor"]
)

# Adds up or multiplies numbers, which booleans and narrow integers are not.
ARITHMETIC = frozenset(
    ["add", "sub", "neg", "add_any", "mul", "div", "dot_general", "conv_general_dilated", "reduce_sum", "cumsum"]
)
# Linear in all their arguments together.
ADDITIVE = frozenset(["add", "sub", "neg", "concatenate", "pad", "add_any"])
# Linear in the argument at the place given, whatever the others are.
LINEAR_IN_FIRST = frozenset(
    [
        "div",
        "gather",
        "dynamic_slice",
        "reduce_sum",
        "broadcast_in_dim",
        "reshape",
        "squeeze",
        "transpose",
        "slice",
        "rev",
        "expand_dims",
        "convert_element_type",
        "stop_gradient",
        "copy",
        "copy_p",
        "cumsum",
    ]
)
# Linear in either of two arguments, not in both.
BILINEAR = frozenset(["mul", "dot_general", "conv_general_dilated"])

DRAWN_FROM_BITS = frozenset(["lt", "le", "gt", "ge", "argmax", "argmin"])
"""By what `jax.random` turns noise into discrete values."""
LOOPS = frozenset(["scan", "while"])
"""By what it does so several at a time, or until enough is drawn."""
SIGNED_ZERO = frozenset(["atan2", "bitcast_convert_type", "nextafter", "sort", "top_k", "approx_top_k"])
"""Which tell -0 from 0."""
ROUNDING = "reduce_precision"
"""What leaves so few digits that it is a step like `round`; so conversions to floats of 8 bits and fewer are called."""
COUNTING = SIGNED_ZERO | {"argmax", "argmin", "eq", "floor", "ceil", "round", "sign", "rem", ROUNDING}
"""Which tell apart what is an ulp apart, and are no part of a continuous function, as `ge` is of a leaky ReLU."""
JUMPING = DRAWN_FROM_BITS | COUNTING | {"ne"}
"""Whose result may be another one an ulp away."""
POLES = frozenset(["log", "log1p", "div", "pow", "rsqrt", "atanh", "erf_inv", "lgamma", "digamma", "tan"])
"""What may make an infinite number of finite ones."""
EDGED = frozenset(["log", "log1p", "sqrt", "rsqrt", "pow", "asin", "acos", "acosh", "atanh", "erf_inv"])
"""Which are no numbers an ulp beside where they end."""
RANDOM = frozenset(["random_bits", "threefry2x32", "rng_bit_generator"])
NOISE = frozenset(["random_bits", "random_gamma"])
"""What takes a key and makes numbers of it."""
KEYS = frozenset(["random_split", "random_fold_in", "random_wrap", "random_unwrap", "random_seed"])

RELIED_ON = (
    ELEMENTWISE
    | STRUCTURAL
    | REDUCTIONS
    | ADDITIVE
    | LINEAR_IN_FIRST
    | BILINEAR
    | DRAWN_FROM_BITS
    | RANDOM
    | NOISE
    | KEYS
)
